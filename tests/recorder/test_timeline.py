"""Positions on a recording's timeline, over wraps, epochs, jumps and restarts of the sfu."""

import msgspec
import pytest

from recorder.journal import AnchorLine, ClosedLine, FrameLine, Journal, JournalHead, MuteLine, ReportLine
from recorder.manifest import RecordingInfo
from recorder.timeline import Timeline, muted_spans, segment_times

SECOND = 1_000_000_000
INFO = RecordingInfo(
    version=1, recording="r", room="room", state="sealing", started_unix_ms=10_000, opened_at=5 * SECOND,
    opened_unix_ms=9_000,
)  # fmt: skip
HEAD = JournalHead(
    version=1, recording="r", room="room", participant="p", name="Ada", track="t", source="camera", media="video",
    codec="vp8", clock_rate=90000, channels=1, ssrc=1, lifetime=5 * SECOND, opened_unix_ms=9_000, epoch=1, n=1,
    first_ext_seq=1, timestamp=0, arrival=0, file="1-1.webm", header_bytes=1,
)  # fmt: skip


def segment(start, seconds, *, offset=0, wrapped=False, lines=(), reports=True, **changes):
    """A segment of frames from `start` s on the sfu's clock on; `offset` is the RTP clock's at zero."""

    def timestamp(at):
        ticks = round(at * 90_000) + offset
        return ticks - first + (first & 0xFFFFFFFF) if wrapped else ticks

    first = round(start * 90_000) + offset
    head = msgspec.structs.replace(HEAD, timestamp=timestamp(start), arrival=round(start * SECOND), **changes)
    frames = [FrameLine(n, n, timestamp(start + n / 30), -1) for n in range(round(30 * seconds))]
    told = [
        ReportLine(timestamp(start + at) & 0xFFFFFFFF, round((start + at) * 2**32), round((start + at) * SECOND))
        for at in range(round(seconds))
        if reports
    ]
    anchors = [AnchorLine(timestamp(start + at), round((start + at) * SECOND)) for at in range(round(seconds))]
    closed = ClosedLine(len(frames), 1, "")
    return segment_times(Journal(head, [*frames, *told, *anchors, *lines, closed], 0))


def seconds(timeline, of, at):
    return timeline.position(of, of.head.timestamp + round(at * 90_000)) / SECOND


def test_zero_is_the_start_of_the_recording():
    one = segment(8, 3)  # the room opened at 5 on this clock, the recording began a second later
    assert seconds(Timeline(INFO, [one]), one, 0.5) == pytest.approx(2.5, abs=0.001)


def test_nothing_is_before_zero():
    early, late = segment(4, 1), segment(9, 1, ssrc=2)
    timeline = Timeline(INFO, [early, late])
    assert seconds(timeline, early, 0) == pytest.approx(0, abs=0.001)
    assert seconds(timeline, late, 0) == pytest.approx(5, abs=0.001)


@pytest.mark.parametrize("wraps", [1, 3])
def test_an_epoch_after_a_wrap_goes_on_from_the_one_before(wraps):
    """The second epoch's assembler begins with 32 bits again; only the first has reports."""
    offset = (wraps << 32) - 10 * 90_000
    before = segment(8, 3, offset=offset)
    after = segment(11, 3, offset=offset, wrapped=True, reports=False, n=2, epoch=2)
    assert after.head.timestamp < 2**32 <= before.head.timestamp + 3 * 90_000
    timeline = Timeline(INFO, [before, after])
    assert before.base == 0
    assert after.base == wraps << 32
    assert seconds(timeline, after, 1) == pytest.approx(6, abs=0.001)


def test_a_clock_that_jumps_gets_another_map():
    before, after = segment(8, 3), segment(11, 3, offset=10**9, n=2)
    timeline = Timeline(INFO, [before, after])
    assert seconds(timeline, before, 1) == pytest.approx(3, abs=0.001)
    assert seconds(timeline, after, 1) == pytest.approx(6, abs=0.001)


def test_a_life_with_another_clock_is_placed_by_the_wall():
    """The machine was restarted: its monotonic clock is at two seconds when the wall's is a minute later."""
    before = segment(8, 3)
    after = segment(2, 3, lifetime=SECOND, opened_unix_ms=69_000, epoch=2)
    timeline = Timeline(INFO, [before, after])
    assert seconds(timeline, before, 0) == pytest.approx(2, abs=0.001)
    assert seconds(timeline, after, 0) == pytest.approx(60, abs=0.001)


def test_mutes_become_spans():
    lines = [MuteLine(True, 9 * SECOND), MuteLine(True, 9 * SECOND + 5), MuteLine(False, 10 * SECOND)]
    one, two = segment(8, 3, lines=lines), segment(20, 3, n=2, muted=True)
    timeline = Timeline(INFO, [one, two])
    end = timeline.position(two, two.head.timestamp) + 3 * SECOND
    assert muted_spans(timeline, [one, two], end) == [(3000, 4000), (14000, 17000)]


def test_what_a_network_cut_delayed_is_where_it_was_captured():
    """The last three seconds of a cut of fifteen come at its end, in a segment of their own, and nobody is blamed."""
    before = segment(10, 10)
    late, after = segment(32, 3), segment(35, 20)
    late.anchors = [(timestamp, 35 * SECOND) for timestamp, _ in late.anchors[:2]]
    timeline = Timeline(INFO, [before, late, after])
    assert timeline.problems == []
    for one, at in ((before, 4), (late, 26), (after, 29)):
        assert seconds(timeline, one, 0) == pytest.approx(at, abs=0.001)


def test_a_picture_that_came_at_the_end_of_a_long_cut_is_no_jump():
    before, picture, after = segment(10, 10), segment(20, 0.1, reports=False), segment(35, 20)
    picture.anchors = [(timestamp, 35 * SECOND) for timestamp, _ in picture.anchors]
    timeline = Timeline(INFO, [before, picture, after])
    assert timeline.problems == []
    assert seconds(timeline, picture, 0) == pytest.approx(14, abs=0.001)
    assert seconds(timeline, after, 0) == pytest.approx(29, abs=0.001)
