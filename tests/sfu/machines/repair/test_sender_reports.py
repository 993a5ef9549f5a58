"""Sender reports of routes keep the publisher's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.rtcp import SenderReport
from sfu.machines.repair.sender_reports import SourceClock

MS = 1_000_000
SECOND = 1_000_000_000
NTP_SECOND = 1 << 32


def clock(ntp, rtp_timestamp, arrival=0, rate=90_000):
    source = SourceClock(rate)
    source.update(SenderReport(1, ntp, rtp_timestamp, 0, 0), arrival)
    return source


def test_nothing_is_reported_before_the_publishers_report():
    source = SourceClock(90_000)
    assert not source.known
    assert source.report(5, 0, 0, 0, 0) is None
    assert source.offset_to(clock(0, 0)) is None
    assert clock(0, 0).offset_to(source) is None


def test_both_clocks_are_advanced_and_the_timestamp_is_offset():
    report = clock(100 * NTP_SECOND, 1000, 3 * SECOND).report(5, 2**32 - 500, 10, 20, 5 * SECOND)
    assert report == SenderReport(5, 102 * NTP_SECOND, 180_500, 10, 20)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 10**11))
def test_a_report_names_the_same_instant_as_the_publishers(ntp, timestamp, offset, elapsed):
    report = clock(ntp, timestamp).report(5, offset, 0, 0, elapsed)
    by_ntp = (report.ntp - ntp) % 2**64 * 90_000 / NTP_SECOND
    by_rtp = (report.rtp_timestamp - offset - timestamp) % 2**32
    assert (by_ntp - by_rtp + 2**31) % 2**32 - 2**31 == pytest.approx(0, abs=1.01)


def test_sound_and_picture_of_one_moment_stay_together():
    """Audio's and video's reports come at different times; the same NTP instant maps to the same moment of both."""
    ntp = 5000 * NTP_SECOND
    audio = clock(ntp, 48_000, 0, 48_000)
    video = clock(ntp + NTP_SECOND // 2, 900_000, SECOND // 2, 90_000)
    heard = audio.report(1, 11, 0, 0, 4 * SECOND)
    seen = video.report(2, 22, 0, 0, 7 * SECOND)
    assert heard.ntp - ntp == 4 * NTP_SECOND
    assert seen.ntp - ntp == 7 * NTP_SECOND
    assert heard.rtp_timestamp - 11 - 48_000 == 4 * 48_000
    assert seen.rtp_timestamp - 22 - 900_000 == 65 * 9_000


def test_counts_wrap():
    report = clock(0, 0).report(5, 0, 2**32 + 3, 2**32 + 4, 0)
    assert (report.packets, report.octets) == (3, 4)


@given(st.integers(0, 2**64 - 1), st.integers(-(10**6), 10**6), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_layers_align_at_equal_instants(ntp, ticks_apart, low, high):
    first = clock(ntp, low)
    second = clock((ntp + ticks_apart * NTP_SECOND // 90_000) % 2**64, high)
    offset = second.offset_to(first)
    assert abs((high + offset - low - ticks_apart + 2**31) % 2**32 - 2**31) <= 1


def test_clock_rates_must_agree():
    with pytest.raises(ValueError, match="clock rates"):
        clock(0, 0, rate=48_000).offset_to(clock(0, 0))
