"""Chromium's canvas and WebAudio, recorded by a whole server: flash and beep align, every file is complete."""

import io
from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
import pytest

from parley_client import Api
from tests.recorder.test_capture_and_finish import DECODERS
from tests.recorder.test_lip_sync import beeps_in
from tests.recorder.test_with_a_whole_server import PASSWORD, finished, stored_file
from tests.support.call import become_admin
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page
from tests.support.server import RunningServer, running_server

SECONDS = 9
CANVAS_PERIOD = 0.040  # a busy browser captures a flash one picture late: its own skew, too
PUBLISH = """
async ({meeting, codec, scalability, seconds, width, height}) => {
  const {Rest, Room, admission} = await import('/sdk/parley.js');
  const capabilities = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);  // offer no other codec
  RTCRtpReceiver.getCapabilities = (kind) => ({codecs: capabilities(kind).codecs.filter(
    ({mimeType}) => kind === 'audio' || [`video/${codec}`, 'video/rtx'].includes(mimeType))});
  if (scalability) {
    const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
    RTCPeerConnection.prototype.addTransceiver = function(track, init) {
      const isVideo = track === 'video' || track.kind === 'video';
      const sendEncodings = [{scalabilityMode: scalability, maxBitrate: 1_500_000}];
      return addTransceiver.call(this, track, isVideo ? {...init, sendEncodings} : init);
    };
  }
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext('2d');
  const sound = new AudioContext({sampleRate: 48000});
  const tone = new OscillatorNode(sound, {frequency: 1000});
  const gain = new GainNode(sound, {gain: 0});
  const out = sound.createMediaStreamDestination();
  tone.connect(gain).connect(out);
  tone.start();
  const room = new Room({admit: admission(new Rest(), meeting, {name: 'Ada'}), codec});
  await room.publish('microphone', out.stream.getAudioTracks()[0]);
  await room.publish('camera', canvas.captureStream(25).getVideoTracks()[0]);
  await room.join();
  room.setConsent({text: '1', recording: true});
  window.leave = () => room.leave();
  window.isRecorded = () => room.recording && room.recording.active;
  const skews = [];
  const begin = Math.ceil(sound.currentTime) + 1;
  for (let second = 0; second < seconds; second++) {
    gain.gain.setValueAtTime(0.7, begin + second);
    gain.gain.setValueAtTime(0, begin + second + 0.1);
  }
  let flashed = -1;
  window.skews = new Promise((resolve) => {
    const drawing = setInterval(() => {
      const now = sound.currentTime - begin;
      const flash = now >= 0 && now % 1 < 0.12;
      pen.fillStyle = flash ? 'white' : `hsl(${Math.floor(now * 40) % 360} 60% 15%)`;
      pen.fillRect(0, 0, width, height);
      if (flash && Math.floor(now) !== flashed) {
        flashed = Math.floor(now);
        skews.push(now - flashed);
      }
      if (now > seconds) { clearInterval(drawing); resolve(skews); }
    }, 10);
  });
}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as running:
        yield running


CASES = {
    "VP8 simulcast": ("VP8", None, 640, 360),
    "VP9": ("VP9", "L1T1", 320, 180),
    "VP9 SVC": ("VP9", "L3T3_KEY", 640, 360),
    "H264": ("H264", "L1T1", 320, 180),
    "AV1": ("AV1", "L1T1", 320, 180),
}


@pytest.mark.parametrize(("codec", "scalability", "width", "height"), CASES.values(), ids=CASES.keys())
async def test_flash_and_beep_of_a_page(
    server: RunningServer, codec: str, scalability: str | None, width: int, height: int
) -> None:
    async with Api(server.url) as api, chromium(flags=[LOOPBACK_FLAG]) as browser:
        if scalability is None:  # the first
            await become_admin(api, server.setup_token)
        else:
            await api.login("admin", PASSWORD)
        meeting = await api.create_meeting("Recorded")
        page = await open_page(browser, server.url)
        wanted = {"codec": codec, "scalability": scalability, "width": width, "height": height}
        await page.evaluate(PUBLISH, {"meeting": meeting, "seconds": SECONDS, **wanted})
        recording = (await api.start_recording(meeting))["id"]
        skews = await page.evaluate("skews")
        await api.stop_recording(meeting)
        await page.evaluate("leave()")
        row = await finished(api, recording)
        manifest = await api.request("GET", f"/recordings/{recording}/manifest")
        tracks = {track["source"]: track for track in manifest["tracks"]}
        flashes = []
        for file in tracks["camera"]["files"]:
            data = await stored_file(api, recording, file["key"])
            found, sizes = flashes_in(data, file)
            flashes += found
            assert sizes[-1] == (width, height)
        (file,) = tracks["microphone"]["files"]
        data = await stored_file(api, recording, file["key"])
        beeps = beeps_in(io.BytesIO(data), file["start_ms"])
    assert row["state"] == "ready", manifest
    assert tracks["camera"]["codec"] == codec.lower()
    apart = []
    for beep in beeps:
        near = min(flashes, key=lambda flash: abs(flash - beep))
        if abs(near - beep) < 0.5:
            apart.append(near - beep)
    assert len(apart) >= SECONDS - 4
    skew = float(np.median(skews))
    off = [abs(a - skew) for a in apart]
    assert np.median(off) <= 0.100, (apart, skews)
    assert max(off) <= 0.100 + CANVAS_PERIOD, (apart, skews)


async def test_silence_that_is_not_sent_is_as_long_in_the_file(server: RunningServer) -> None:
    """With DTX a page sends beeps and next to nothing in between; each is where it was heard all the same."""
    async with Api(server.url) as api, chromium(flags=[LOOPBACK_FLAG]) as browser:
        await api.login("admin", PASSWORD)
        meeting = await api.create_meeting("Silent")
        page = await open_page(browser, server.url)
        wanted = {"codec": "VP8", "scalability": "L1T1", "width": 320, "height": 180}
        await page.evaluate(PUBLISH, {"meeting": meeting, "seconds": SECONDS, **wanted})
        recording = (await api.start_recording(meeting))["id"]
        await page.evaluate("skews")
        await api.stop_recording(meeting)
        await page.evaluate("leave()")
        await finished(api, recording)
        manifest = await api.request("GET", f"/recordings/{recording}/manifest")
        ((file,),) = (track["files"] for track in manifest["tracks"] if track["source"] == "microphone")
        data = await stored_file(api, recording, file["key"])
    with av.open(io.BytesIO(data)) as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None]
    beeps = beeps_in(io.BytesIO(data), file["start_ms"])
    assert len(times) < 0.6 * 50 * (times[-1] - times[0]), "silence was sent"
    assert len(beeps) >= SECONDS - 3
    assert max(abs(later - earlier - 1) for earlier, later in pairwise(beeps)) < 0.02, beeps


def flashes_in(data: bytes, file: dict) -> tuple[list[float], list[tuple[int, int]]]:
    """Return the beginning of each flash of a file, and every picture's size. FFmpeg's VP9 decoder knows no layers."""
    found, sizes, before = [], [], True
    with av.open(io.BytesIO(data)) as container:
        decoder = av.CodecContext.create(DECODERS[file["codec"]], "r")
        decoder.extradata = container.streams.video[0].codec_context.extradata
        for packet in container.demux(video=0):
            for image in decoder.decode(packet):
                sizes.append((image.width, image.height))
                bright = bool(image.to_ndarray(format="gray").mean() > 128)
                if bright and not before:
                    found.append(file["start_ms"] / 1000 + float(image.pts * packet.time_base))
                before = bright
    return found, sizes
