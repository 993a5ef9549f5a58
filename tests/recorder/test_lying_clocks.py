"""A participant with wrong sender reports: its files stay at their frames' arrival, and no others move."""

from dataclasses import dataclass

import av
import pytest

from sfu.api.sink_records import RecordingEnded, SenderReportRecord
from sfu.formats.codecs import Codec
from tests.recorder.media import SECOND, Stream, opus, read_number, video
from tests.recorder.sink_server import begun, by_arrival

OPENED_AT = 700 * SECOND


@dataclass
class Liar(Stream):
    """Its reports say that its RTP clock is `ahead` s further than it is."""

    ahead: float = 0.0

    def report(self, at: float, arrival: int) -> SenderReportRecord:
        honest = super().report(at, arrival)
        timestamp = honest.rtp_timestamp + round(self.ahead * self.clock_rate)
        return honest._replace(rtp_timestamp=timestamp & 0xFFFFFFFF)


def streams(ahead: float) -> list[Stream]:
    """Alice has honest clocks, Bob has not; both begin half a second after the recording."""
    found: list[Stream] = []
    for handle, (participant, lie) in enumerate((("alice", 0.0), ("bob", ahead)), 1):
        found += [
            Liar(
                codec=Codec.VP8, frames=video(Codec.VP8, 150, keyframe_every=15), fps=30, track=f"cam-{participant}",
                handle=2 * handle, ssrc=2 * handle, opened_at=OPENED_AT, start=0.5, participant=participant, ahead=lie,
            ),
            Liar(
                codec=Codec.OPUS, frames=opus(250), fps=50, track=f"mic-{participant}", handle=2 * handle + 1,
                ssrc=2 * handle + 1, opened_at=OPENED_AT, start=0.5, participant=participant, ahead=lie,
            ),
        ]  # fmt: skip
    return found


async def record(attached, sources: list[Stream], started: float = 0.0):
    await attached.sfu.send(begun(opened_at=OPENED_AT, started=started), *(stream.opened() for stream in sources))
    await attached.sfu.send(*by_arrival(*(stream.records() for stream in sources)))
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    manifest = await attached.manifest()
    return manifest, {track.track: track for track in manifest.tracks}


@pytest.mark.parametrize("ahead", [600, 20_000, -20_000])
async def test_a_wrong_clock_stretches_nothing(attached, ahead):
    manifest, tracks = await record(attached, streams(ahead))
    assert 5400 < manifest.duration_ms < 5700
    for track in tracks.values():
        assert 450 < track.start_ms < 600
        assert abs(track.duration_ms - 5000) < 100
    assert manifest.state == "ready"  # nothing is missing
    assert sorted(problem.partition(":")[0] for problem in manifest.problems) == ["Bob (camera)", "Bob (microphone)"]


async def test_what_a_lagging_clock_puts_before_the_start_is_cut(attached):
    """Bob's reports say that all was captured 1.2 s before it came: 0.7 s of that lie before the recording began."""
    manifest, tracks = await record(attached, streams(1.2))
    assert manifest.problems == []
    for name in ("cam-alice", "mic-alice"):
        assert 450 < tracks[name].start_ms < 600
    for name in ("cam-bob", "mic-bob"):
        assert tracks[name].start_ms < 20
        assert abs(tracks[name].duration_ms - 4300) < 60
    with av.open(attached.config.recordings_dir / tracks["cam-bob"].files[0].key) as container:
        numbers = [read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)]
    assert numbers == list(range(15, 150))  # from the keyframe on that the first picture behind the start refers to


async def test_a_control_whose_clock_is_ahead_cuts_nothing(attached):
    """Its start lies behind the first frames by the sfu's clock: then these are, and no more than a sound is cut."""
    manifest, tracks = await record(attached, streams(0), started=3.5)
    assert manifest.duration_ms == pytest.approx(5000, abs=60)
    assert {track.files[0].frames for track in tracks.values()} <= {150, 249, 250}
