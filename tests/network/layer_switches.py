"""A publisher in Chromium that flashes and beeps, and a viewer that asks for large and small pictures in turn."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.network.behind_link import MS, WATCH_FRAMES
from tests.network.layer_account import account
from tests.network.test_coming_back import viewer
from tests.sfu.server.harness import Host, host
from tests.support import sdk_page
from tests.support.chromium import FULL_RATE, LOOPBACK_FLAG, chromium, open_page
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host
from tests.support.waiting import eventually

LINK = LinkSettings(delay=5 * MS)
_SKEW_SECONDS = 9
_SETTLING_SECONDS = 20
"""Seconds for lip sync: browsers report on sound every 5 s, and synchronise step by step after two reports."""
_IN_DECODER = 3
_PATIENCE_SECONDS = 30
FLASHES = """
(() => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1280, height: 720});
  const picture = canvas.getContext('2d'), sound = new AudioContext();
  const gain = new GainNode(sound, {gain: 0}), tone = new OscillatorNode(sound, {frequency: 1000});
  const output = sound.createMediaStreamDestination();
  tone.connect(gain).connect(output);
  tone.start();
  let number = 0;
  setInterval(() => {
    const phase = number++ % 60;
    if (phase === 0) {
      gain.gain.setValueAtTime(0.8, sound.currentTime);
      gain.gain.setValueAtTime(0, sound.currentTime + 0.1);
    }
    picture.fillStyle = phase < 4 ? '#fff' : '#203040';
    picture.fillRect(0, 0, 1280, 720);
    // Detail that moves, or a large picture would cost no more bits than a small one.
    for (let index = 0; index < 400; index += 1) {
      picture.fillStyle = `hsl(${index * 47 + number * 13} 70% ${30 + (index * 7) % 50}%)`;
      picture.fillRect((index * 97 + number * 5) % 1280, 380 + (index * 61 + number * 3) % 340, 9, 9);
    }
  }, 1000 / 30);
  window.sent = [...output.stream.getAudioTracks(), ...canvas.captureStream(30).getVideoTracks()];
  return true;
})()
"""
PUBLISH = """
(async (codec) => {
  await sdkPage.room.publish('microphone', sent[0]);
  await sdkPage.room.publish('camera', sent[1], {codec});
  // Short of processor time it should leave out pictures: layers are told apart by their sizes.
  const [sender] = watchedPeers.flatMap((peer) => peer.getSenders()).filter(({track}) => track === sent[1]);
  await sender.setParameters({...sender.getParameters(), degradationPreference: 'maintain-resolution'});
  return true;
})
"""
GATHERED = """
window.gathered = (peer) => new Promise((resolve) => {
  const look = () => peer.iceGatheringState === 'complete' && resolve(peer.localDescription.sdp);
  peer.addEventListener('icegatheringstatechange', look);
  look();
});
"""
OFFER = """
(async () => {
  const peer = window.direct = new RTCPeerConnection(), both = new MediaStream(sent);
  for (const track of sent) peer.addTrack(track, both);
  await peer.setLocalDescription();
  return gathered(peer);
})()
"""
ANSWER = """
(async (sdp) => {
  const peer = window.direct = new RTCPeerConnection();
  await peer.setRemoteDescription({type: 'offer', sdp});
  await peer.setLocalDescription();
  const [sound, picture] = peer.getReceivers().map(({track}) => new MediaStream([track]));
  const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true, srcObject: picture});
  document.body.append(video);
  window.player = Object.assign(new Audio(), {autoplay: true, srcObject: sound});  // or its buffer is not read
  window.seen = watchFlashes(video, peer.getReceivers()[0]);
  return gathered(peer);
})
"""
TAKE_ANSWER = "(async (sdp) => { await direct.setRemoteDescription({type: 'answer', sdp}); return true; })"
HANG_UP = "(() => { direct.close(); seen.close(); player.srcObject = null; return true; })()"
WATCH_FLASHES = """
const listen = (track, heard) => {
  const sound = new AudioContext(), listener = sound.createScriptProcessor(256, 1, 1);
  listener.onaudioprocess = (event) => {
    const samples = event.inputBuffer.getChannelData(0);
    const onset = samples.findIndex((sample) => Math.abs(sample) > 0.1);
    const {contextTime, performanceTime} = sound.getOutputTimestamp();
    const at = performanceTime + 1000 * (event.playbackTime + Math.max(onset, 0) / sound.sampleRate - contextTime);
    heard(at, onset >= 0, 1000 * samples.length / sound.sampleRate);
  };
  sound.createMediaStreamSource(new MediaStream([track])).connect(listener);
  listener.connect(sound.destination);
  return () => (listener.onaudioprocess = null, sound.close());
};
// Firefox runs Web Audio where there is a sound card, but its statistics always tell what was played.
const measure = (receiver, heard) => {
  let before = null, timer;
  const look = async () => {
    const row = [...(await receiver.getStats()).values()].find(({type}) => type === 'inbound-rtp');
    const at = performance.now(), energy = row?.totalAudioEnergy ?? 0;
    if (before) heard(at, energy - before.energy > 0.0005, at - before.at);
    before = {at, energy};
    timer = setTimeout(look, 4);
  };
  look();
  return () => clearTimeout(timer);
};
window.watchFlashes = (video, receiver) => {
  const flashes = [], beeps = [];
  const small = Object.assign(document.createElement('canvas'), {width: 8, height: 8});
  const picture = small.getContext('2d', {willReadFrequently: true});
  let bright = false;
  const look = (now, frame) => {
    picture.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 2, 0, 0, 8, 8);
    const light = picture.getImageData(4, 4, 1, 1).data[1] > 150;
    if (light && !bright) flashes.push(frame.expectedDisplayTime ?? now);
    bright = light;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  let quietFor = 1e6;
  const heard = (at, loud, ms) => {
    if (loud && quietFor > 500) beeps.push(at);
    quietFor = loud ? 0 : quietFor + ms;
  };
  const end = navigator.userAgent.includes('Firefox') ? measure(receiver, heard) : listen(receiver.track, heard);
  return {flashes, beeps, close: () => { end(); video.remove(); }};
};
"""
WATCH_CALL = """
(() => {
  const track = (media) => [...sdkPage.room.roster.tracks.values()].find((t) => t.media === media);
  sdkPage.camera = track('video').id;
  sdkPage.video = sdkPage.shown.get(sdkPage.camera);
  const receivers = watchedPeers.flatMap((peer) => peer.getReceivers());
  window.seen = watchFlashes(sdkPage.video, receivers.find((one) => one.track === track('audio').mediaTrack));
  return true;
})()
"""
SWITCH = "(sdkPage.room.subscribe(sdkPage.camera, {width: WIDTH, height: HEIGHT}), true)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`skew` is how long after its beep a flash is shown, in ms (median), after the switching, `skew_before` before it.

    Both are less what the same pages see of a connection without a server, `own_skew`.
    `lost` are frames that came and were neither decoded nor passed over for want of time.
    """

    switches: int
    seconds: float
    plis: int
    lost: int
    longest_gap: float
    skew_before: float
    skew: float
    own_skew: float

    def __str__(self) -> str:
        return (
            f"{self.switches} switches in {self.seconds:.0f} s: {self.plis} PLIs, {self.lost} frames lost, "
            f"longest gap {self.longest_gap:.0f} ms, "
            f"flash {self.skew:+.0f} ms after its beep ({self.skew_before:+.0f} before; without a server "
            f"{self.own_skew:+.0f} more)"
        )


async def _row(page: sdk_page.Evaluates) -> dict[str, Any]:
    rows = [row for row in await sdk_page.streams(page) if row["kind"] == "video" and row.get("framesDecoded")]
    return rows[0] if rows else {}


async def _skew(page: sdk_page.Evaluates) -> float:
    """Return the delays from beeps to the next flashes."""
    since = await page.evaluate("performance.now()")
    await asyncio.sleep(_SKEW_SECONDS)
    flashes, beeps = await page.evaluate("[seen.flashes, seen.beeps]")
    nearest = [
        min((flash - beep for beep in beeps), key=abs, default=float("inf")) for flash in flashes if flash > since + 500
    ]
    return statistics.median(nearest) if nearest else float("inf")


async def _skew_without_server(ann: sdk_page.Evaluates, bob: sdk_page.Evaluates) -> float:
    """Return the same for a direct connection between both, since Web Audio delays beeps at either end."""
    offer = await ann.evaluate(OFFER)
    answer = await bob.evaluate(f"{ANSWER}({json.dumps(offer)})")
    await ann.evaluate(f"{TAKE_ANSWER}({json.dumps(answer)})")
    await asyncio.sleep(_SETTLING_SECONDS)
    skew = await _skew(bob)
    await bob.evaluate(HANG_UP)
    await ann.evaluate("(direct.close(), true)")
    return skew


def _lost(row: dict[str, Any]) -> int:
    return int(row["framesReceived"] - row["framesDecoded"] - row.get("framesDropped", 0))


async def _never_decoded(page: sdk_page.Evaluates) -> int:
    """Return the number of received frames neither decoded nor skipped: the minimum over a while, since some wait."""
    counts = []
    for _ in range(10):
        await asyncio.sleep(0.2)
        counts.append(_lost(await _row(page)))
    return min(counts)


@asynccontextmanager
async def _pages(tmp_path: Path, kind: str) -> AsyncIterator[tuple[Host, str, sdk_page.Evaluates, sdk_page.Evaluates]]:
    """A node, its address for a viewer behind a link, the page of a publisher with flashes and beeps, the viewer's."""
    async with AsyncExitStack() as stack:
        link = stack.enter_context(emulated_host(LINK, LINK, 1))
        addresses = ("127.0.0.1", link.server_address)
        h = await stack.enter_async_context(host(tmp_path, addresses=addresses, signaling_host="0.0.0.0"))
        near = await stack.enter_async_context(sdk_page.sdk_site())
        far = await stack.enter_async_context(sdk_page.sdk_site(link.server_address))
        browser = await stack.enter_async_context(chromium(flags=[LOOPBACK_FLAG, FULL_RATE]))
        # Whom devices are granted to tells its addresses, without which a page in a namespace could not be met.
        ann = await open_page(browser, near)
        await ann.evaluate(FLASHES)
        await ann.evaluate(f"(() => {{ {GATHERED} return true; }})()")
        bob = await stack.enter_async_context(viewer(kind, link, far))
        for script in (GATHERED, WATCH_FRAMES, WATCH_FLASHES):
            await bob.evaluate(f"(() => {{ {script} return true; }})()")
        yield h, h.signaling_url.replace("127.0.0.1", link.server_address), ann, bob


async def _meet(h: Host, url: str, ann: sdk_page.Evaluates, bob: sdk_page.Evaluates, codec: str) -> None:
    """Join both, and wait until all layers flow and a picture is shown."""
    await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"))
    await ann.evaluate(f"{PUBLISH}('{codec}')")
    await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
    publish = h.node.rooms["r"].participants["ann"].publish
    assert publish is not None
    streams = publish.streams
    await eventually(lambda: sum(stream.active(time.monotonic_ns()) for stream in streams.values()) == 4, 60)
    async with asyncio.timeout(30):
        while (await _row(bob)).get("framesDecoded", 0) < 10:
            await asyncio.sleep(0.1)
    await bob.evaluate(WATCH_CALL)


async def _show(h: Host, ann: sdk_page.Evaluates, bob: sdk_page.Evaluates, width: int, height: int) -> None:
    """Request a picture of this size, and wait until it is shown."""
    await bob.evaluate(SWITCH.replace("WIDTH", str(width)).replace("HEIGHT", str(height)))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while await bob.evaluate("sdkPage.video.videoHeight") != height:
        if time.monotonic() > deadline:
            told = await account(h.node, ann, bob)
            pytest.fail(f"no {width}x{height} in {_PATIENCE_SECONDS} s:\n{told}")
        await asyncio.sleep(0.03)


async def switch_layers(tmp_path: Path, codec: str, kind: str, switches: int, *, lip_sync: bool = True) -> Outcome:
    """Run a call with this many changes of a viewer's layer; measure lip sync only with `lip_sync`."""
    async with _pages(tmp_path, kind) as (h, url, ann, bob):
        own_skew = await _skew_without_server(ann, bob) if lip_sync else 0.0
        await _meet(h, url, ann, bob, codec)
        await _show(h, ann, bob, 1280, 720)
        await asyncio.sleep(_SETTLING_SECONDS if lip_sync else 0)
        skew_before = await _skew(bob) if lip_sync else 0.0
        lost_before = await _never_decoded(bob)
        before, since = await _row(bob), await bob.evaluate("performance.now()")
        began = time.monotonic()
        for number in range(switches):
            await _show(h, ann, bob, *((1280, 720) if number % 2 else (320, 180)))
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - began
        gaps = await bob.evaluate(f"window.gapsSince({since})")
        after, lost = await _row(bob), await _never_decoded(bob) - lost_before
        skew = await _skew(bob) if lip_sync else 0.0
    return Outcome(
        switches,
        seconds,
        after.get("pliCount", 0) - before.get("pliCount", 0),
        max(0, lost - _IN_DECODER),
        max(gaps, default=float("inf")),
        skew_before - own_skew,
        skew - own_skew,
        own_skew,
    )
