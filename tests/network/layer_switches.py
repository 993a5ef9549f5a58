"""A publisher in Chromium that flashes and beeps, and a viewer that asks for a large and a small picture by turns."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.network.behind_link import MS, WATCH_FRAMES
from tests.sfu.server.harness import eventually, host
from tests.support import sdk_page
from tests.support.bidi import firefox
from tests.support.chromium import LOOPBACK_FLAG, chromium
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host

LINK = LinkSettings(delay=5 * MS)
_SKEW_SECONDS = 9
_SETTLING_SECONDS = 5
_IN_DECODER = 3
FLASHES = """
(async (codec, audible) => {
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
  sdkPage.sent = [...output.stream.getAudioTracks(), ...canvas.captureStream(30).getVideoTracks()];
  await sdkPage.room.publish('microphone', sdkPage.sent[0]);
  await sdkPage.room.publish('camera', sdkPage.sent[1], {codec});
})
"""
WITHOUT_SERVER = """
(async () => {
  const near = new RTCPeerConnection(), far = new RTCPeerConnection(), both = new MediaStream(sdkPage.sent);
  near.onicecandidate = ({candidate}) => far.addIceCandidate(candidate);
  far.onicecandidate = ({candidate}) => near.addIceCandidate(candidate);
  for (const track of sdkPage.sent) near.addTrack(track, both);
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  const [sound, picture] = far.getReceivers().map(({track}) => new MediaStream([track]));
  const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true, srcObject: picture});
  document.body.append(video);
  sdkPage.player = Object.assign(new Audio(), {autoplay: true, srcObject: sound});  // or its buffer is not read
  sdkPage.seen = watchFlashes(video, sound);
  sdkPage.hangUp = () => { near.close(); far.close(); video.remove(); return true; };
  return true;
})()
"""
WATCH_FLASHES = """
window.watchFlashes = (video, stream) => {
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
  const sound = new AudioContext();
  const listener = sound.createScriptProcessor(256, 1, 1);
  let quietFor = 1e6;
  listener.onaudioprocess = (event) => {
    const samples = event.inputBuffer.getChannelData(0);
    const onset = samples.findIndex((sample) => Math.abs(sample) > 0.1);
    if (onset >= 0 && quietFor > 0.5) {
      const {contextTime, performanceTime} = sound.getOutputTimestamp();
      beeps.push(performanceTime + 1000 * (event.playbackTime + onset / sound.sampleRate - contextTime));
    }
    quietFor = onset >= 0 ? 0 : quietFor + samples.length / sound.sampleRate;
  };
  sound.createMediaStreamSource(stream).connect(listener);
  listener.connect(sound.destination);
  return {flashes, beeps, video, listener};
};
"""
WATCH_CALL = """
(() => {
  const track = (media) => [...sdkPage.room.roster.tracks.values()].find((t) => t.media === media);
  sdkPage.camera = track('video').id;
  sdkPage.video = sdkPage.shown.get(sdkPage.camera);
  sdkPage.seen = watchFlashes(sdkPage.video, new MediaStream([track('audio').mediaTrack]));
  return true;
})()
"""
SWITCH = "(sdkPage.room.subscribe(sdkPage.camera, {width: WIDTH, height: HEIGHT}), true)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`skew` is how long after its beep a flash is shown, in ms (median), after the switching, `skew_before` before it.

    Both are less what a page sees of a connection without a server, `own_skew`.
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


@asynccontextmanager
async def _viewer(kind: str, prefix: list[str], site: str) -> AsyncIterator[sdk_page.Evaluates]:
    if kind == "firefox":
        async with firefox(prefix) as browser:
            await browser.navigate(site)
            yield browser
    else:
        async with chromium(prefix) as running:
            page = await running.browser.new_page()
            await page.goto(site)
            yield page


async def _row(page: sdk_page.Evaluates) -> dict[str, Any]:
    rows = [row for row in await sdk_page.streams(page) if row["kind"] == "video" and row.get("framesDecoded")]
    return rows[0] if rows else {}


async def _skew(page: sdk_page.Evaluates) -> float:
    """Return how long after their beeps the next flashes are shown."""
    since = await page.evaluate("performance.now()")
    await asyncio.sleep(_SKEW_SECONDS)
    flashes, beeps = await page.evaluate("[sdkPage.seen.flashes, sdkPage.seen.beeps]")
    nearest = [
        min((flash - beep for beep in beeps), key=abs, default=float("inf")) for flash in flashes if flash > since + 500
    ]
    return statistics.median(nearest) if nearest else float("inf")


async def _skew_without_server(page: sdk_page.Evaluates) -> float:
    """Return the same of a connection within the publisher's page: Web Audio, at either end, makes beeps late."""
    await page.evaluate(f"(() => {{ {WATCH_FLASHES} return true; }})()")
    await page.evaluate(WITHOUT_SERVER)
    await asyncio.sleep(_SETTLING_SECONDS)
    skew = await _skew(page)
    await page.evaluate("sdkPage.hangUp()")
    return skew


def _lost(row: dict[str, Any]) -> int:
    return int(row["framesReceived"] - row["framesDecoded"] - row.get("framesDropped", 0))


async def _never_decoded(page: sdk_page.Evaluates) -> int:
    """Return how many frames came and were neither decoded nor passed over: the least of a while, since some wait."""
    counts = []
    for _ in range(10):
        await asyncio.sleep(0.2)
        counts.append(_lost(await _row(page)))
    return min(counts)


@asynccontextmanager
async def _call(tmp_path: Path, codec: str, kind: str) -> AsyncIterator[tuple[sdk_page.Evaluates, sdk_page.Evaluates]]:
    """A call of a publisher and a viewer, whose pages these are; all layers flow, the large picture is shown."""
    async with AsyncExitStack() as stack:
        link = stack.enter_context(emulated_host(LINK, LINK, 1))
        addresses = ("127.0.0.1", link.server_address)
        h = await stack.enter_async_context(host(tmp_path, addresses=addresses, signaling_host="0.0.0.0"))
        near = await stack.enter_async_context(sdk_page.sdk_site())
        far = await stack.enter_async_context(sdk_page.sdk_site(link.server_address))
        browser = await stack.enter_async_context(chromium(flags=[LOOPBACK_FLAG]))
        ann = await browser.browser.new_page()
        await ann.goto(near)
        await sdk_page.join_node(ann, h.signaling_url, h.control.token("r", "ann"))
        await ann.evaluate(f"{FLASHES}('{codec}').then(() => true)")
        bob = await stack.enter_async_context(_viewer(kind, link.prefix, far))
        url = h.signaling_url.replace("127.0.0.1", link.server_address)
        await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
        publish = h.node.rooms["r"].participants["ann"].publish
        assert publish is not None
        streams = publish.streams
        await eventually(lambda: sum(stream.active(time.monotonic_ns()) for stream in streams.values()) == 4, 60)
        async with asyncio.timeout(30):
            while (await _row(bob)).get("framesDecoded", 0) < 10:
                await asyncio.sleep(0.1)
        await bob.evaluate(f"(() => {{ {WATCH_FRAMES} return true; }})()")
        await bob.evaluate(f"(() => {{ {WATCH_FLASHES} return true; }})()")
        await bob.evaluate(WATCH_CALL)
        await _show(bob, 1280, 720)
        yield ann, bob


async def _show(page: sdk_page.Evaluates, width: int, height: int) -> None:
    """Ask for a picture of this size, and wait until it is shown."""
    await page.evaluate(SWITCH.replace("WIDTH", str(width)).replace("HEIGHT", str(height)))
    async with asyncio.timeout(30):
        while await page.evaluate("sdkPage.video.videoHeight") != height:
            await asyncio.sleep(0.03)


async def switch_layers(tmp_path: Path, codec: str, kind: str, switches: int, *, lip_sync: bool = True) -> Outcome:
    """Run a call in which a viewer's layer changes so many times; without `lip_sync` that is not measured."""
    async with _call(tmp_path, codec, kind) as (ann, bob):
        own_skew = await _skew_without_server(ann) if lip_sync else 0.0
        skew_before = await _skew(bob) if lip_sync else 0.0
        lost_before = await _never_decoded(bob)
        before, since = await _row(bob), await bob.evaluate("performance.now()")
        began = time.monotonic()
        for number in range(switches):
            await _show(bob, *((1280, 720) if number % 2 else (320, 180)))
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
