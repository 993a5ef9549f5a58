"""The layers of a track stay on one timeline, despite jitter in their reports."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.rtcp import SenderReport
from sfu.machines.repair.sender_reports import SourceClock
from sfu.machines.repair.timeline import Timeline

NTP_SECOND = 1 << 32
RATE = 90_000


def report(clock, start, seconds, error_ms=0.0):
    """Report of a stream whose timestamps began at `start`, as a sender does that is off by an error."""
    timestamp = (start + round(seconds * RATE + error_ms * RATE / 1000)) % 2**32
    clock.update(SenderReport(1, int(seconds * NTP_SECOND), timestamp, 0, 0), 0)


def test_before_its_report_a_stream_is_on_no_timeline():
    timeline = Timeline()
    assert timeline.offset_of(SourceClock(RATE)) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.lists(st.floats(-9, 9), min_size=1, max_size=20))
def test_errors_of_reports_do_not_move_a_layer(low, high, errors):
    timeline, first, second = Timeline(), SourceClock(RATE), SourceClock(RATE)
    report(first, low, 10)
    report(second, high, 10)
    assert timeline.offset_of(first) == 0
    held = timeline.offset_of(second)
    assert held == (low - high) % 2**32
    for number, error in enumerate(errors):
        report(first, low, 11 + number, -error)
        report(second, high, 11 + number, error)
        assert timeline.offset_of(second) == held


def test_a_sender_that_begins_anew_moves_its_layer():
    timeline, first, second = Timeline(), SourceClock(RATE), SourceClock(RATE)
    report(first, 0, 10)
    report(second, 5000, 10)
    assert timeline.offset_of(first) == 0
    assert timeline.offset_of(second) == -5000 % 2**32
    report(second, 900_000, 11)
    assert timeline.offset_of(second) == -900_000 % 2**32
