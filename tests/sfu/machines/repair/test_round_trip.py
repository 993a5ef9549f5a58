"""Round trips from report blocks."""

from sfu.formats.rtcp import ReportBlock
from sfu.machines.repair.round_trip import RoundTrip

MS = 1_000_000


def block(ntp, delay_ms):
    return ReportBlock(1, 0, 0, 0, 0, ntp >> 16 & 0xFFFFFFFF, delay_ms * 65536 // 1000)


def test_the_first_sample_replaces_the_guess():
    trip = RoundTrip()
    assert trip.smoothed == 100 * MS
    trip.sent(0x1234_5678_9ABC_DEF0, 1000 * MS)
    sample = trip.report(block(0x1234_5678_9ABC_DEF0, 250), 1290 * MS)
    assert abs(sample - 40 * MS) < MS
    assert trip.smoothed == sample


def test_later_samples_are_smoothed():
    trip = RoundTrip()
    trip.sample(40 * MS)
    trip.sample(80 * MS)
    assert trip.smoothed == 45 * MS


def test_a_block_that_answers_nothing_is_no_sample():
    trip = RoundTrip()
    trip.sent(1 << 32, 0)
    assert trip.report(block(2 << 32, 0), 10 * MS) is None
    assert trip.report(ReportBlock(1, 0, 0, 0, 0), 10 * MS) is None
    assert trip.smoothed == 100 * MS


def test_a_delay_longer_than_the_time_since_is_no_sample():
    trip = RoundTrip()
    trip.sent(1 << 32, 0)
    assert trip.report(block(1 << 32, 500), 100 * MS) is None


def test_memory_is_bounded():
    trip = RoundTrip()
    for second in range(1, 2000):
        trip.sent(second << 32, second * 1000 * MS)
    assert trip.report(block(1 << 32, 0), 2000_000 * MS) is None
    assert trip.report(block(1999 << 32, 0), 1999_010 * MS) == 10 * MS
