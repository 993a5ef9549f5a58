"""Flash and beep align in finished files, whatever clocks and networks the streams came through."""

import random

import av
import numpy as np
import pytest

from sfu.api.sink_records import RecordingEnded, SenderReportRecord
from sfu.formats.codecs import Codec
from tests.recorder.media import SECOND, Stream, is_flash, opus, video
from tests.recorder.sink_server import begun, by_arrival

OPENED_AT = 5_000 * SECOND


def streams(seconds, **clocks):
    """A camera that flashes and a microphone that beeps on every whole second since the room opened."""
    camera = Stream(
        codec=Codec.VP8, frames=video(Codec.VP8, 25 * seconds, fps=25, flash_every=25), fps=25, track="cam", handle=1,
        ssrc=11, opened_at=OPENED_AT, start=2.0, **clocks.get("camera", {}),
    )  # fmt: skip
    microphone = Stream(
        codec=Codec.OPUS, frames=opus(50 * seconds, beep_every=50), fps=50, track="mic", handle=2, ssrc=22,
        opened_at=OPENED_AT, start=2.0, **clocks.get("microphone", {}),
    )  # fmt: skip
    return camera, microphone


def flashes(root, track):
    found = []
    for file in track.files:
        with av.open(root / file.key) as container:
            found += [
                file.start_ms / 1000 + float(image.pts * image.time_base)
                for image in container.decode(video=0)
                if is_flash(image.to_ndarray(format="gray"))
            ]
    return found


def beeps(root, track):
    """Return the beginning of each beep, in s on the recording's timeline."""
    return [at for file in track.files for at in beeps_in(root / file.key, file.start_ms)]


def beeps_in(source, start_ms):
    """Return the beginning of each beep of a file that itself begins at `start_ms`."""
    found = []
    with av.open(source) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray())
            loud = np.flatnonzero(samples.max(axis=0) > 0.25)
            at = start_ms / 1000 + float(frame.pts * frame.time_base)
            if loud.size and not (found and at - found[-1] < 0.5):
                found.append(at + loud[0] / 48000)
    return found


def jittered(records, seed, most=0.03):
    """Delay each record by up to `most` s more, in order, as a congested network does."""
    dice = random.Random(seed)
    out, last = [], {}
    for record in records:
        arrival = max(record.arrival + round(dice.random() * most * SECOND), last.get(record.handle, 0))
        last[record.handle] = arrival
        out.append(record._replace(arrival=arrival))
    return sorted(out, key=lambda record: record.arrival)


CLOCKS = {
    "one clock": {},
    "a sender's own NTP clock": {"camera": {"ntp_offset": -3e6}, "microphone": {"ntp_offset": -3e6}},
    "an NTP clock per stream": {"camera": {"ntp_offset": 12.5}, "microphone": {"ntp_offset": -7777.0}},
    "clocks that drift apart": {
        "camera": {"drift": 300e-6, "ntp_offset": 5.0},
        "microphone": {"drift": -300e-6, "ntp_offset": 90.0},
    },
    "rare audio reports": {"microphone": {"report_every": 5.0}},
    "wrapping timestamps": {"camera": {"rtp_offset": 2**32 - 90_000}, "microphone": {"rtp_offset": 2**32 - 1}},
}


@pytest.mark.parametrize("clocks", CLOCKS.values(), ids=CLOCKS.keys())
async def test_flash_and_beep_within_40_ms(attached, clocks):
    camera, microphone = streams(12, **clocks)
    records = jittered(by_arrival(camera.records(), microphone.records()), 3)
    await attached.sfu.send(begun(opened_at=OPENED_AT, started=1.5), camera.opened(), microphone.opened(), *records)
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    manifest = await attached.manifest()
    tracks = {track.track: track for track in manifest.tracks}
    seen, heard = (find(attached.config.recordings_dir, tracks[t]) for find, t in ((flashes, "cam"), (beeps, "mic")))
    assert len(seen) == len(heard) == 12
    assert max(abs(a - b) for a, b in zip(seen, heard, strict=True)) <= 0.040
    # Both are where they were captured, within the network's delay.
    assert seen == pytest.approx([0.5 + second for second in range(12)], abs=0.045)


async def test_streams_without_reports_line_up_by_arrival(attached):
    camera, microphone = streams(6)
    records = [
        record
        for record in jittered(by_arrival(camera.records(), microphone.records()), 4)
        if not isinstance(record, SenderReportRecord)
    ]
    await attached.sfu.send(begun(opened_at=OPENED_AT), camera.opened(), microphone.opened(), *records)
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    tracks = {track.track: track for track in (await attached.manifest()).tracks}
    seen, heard = (find(attached.config.recordings_dir, tracks[t]) for find, t in ((flashes, "cam"), (beeps, "mic")))
    assert max(abs(a - b) for a, b in zip(seen, heard, strict=True)) <= 0.040


async def test_gaps_stay_gaps(attached):
    """A microphone that is silent for a minute: its second half is a minute later, and so is the picture's."""
    camera, microphone = streams(6, camera={"pauses": ((75, 60.0),)}, microphone={"pauses": ((150, 60.0),)})
    records = by_arrival(camera.records(), microphone.records())
    await attached.sfu.send(begun(opened_at=OPENED_AT), camera.opened(), microphone.opened(), *records)
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    manifest = await attached.manifest()
    tracks = {track.track: track for track in manifest.tracks}
    seen, heard = (find(attached.config.recordings_dir, tracks[t]) for find, t in ((flashes, "cam"), (beeps, "mic")))
    expected = [2, 3, 4, 65, 66, 67]
    assert seen == pytest.approx(expected, abs=0.045)
    assert heard == pytest.approx(expected, abs=0.045)
    assert abs(tracks["mic"].duration_ms - 66_000) < 100
