"""Arrivals without lateness: what came late goes back to its place, clocks that stood still or jumped stay."""

from hypothesis import given
from hypothesis import strategies as st

from recorder.clock import SECOND
from recorder.lateness import on_time

RATE = 48_000


def anchors(delays, *, media=None):
    """Frames of every second, or at the times in `media` (s) by the RTP clock, with their delays (s)."""
    return [
        (round(((media or range(len(delays)))[at]) * RATE), round((at + delay) * SECOND))
        for at, delay in enumerate(delays)
    ]


def delays_of(found):
    return [round(arrival / SECOND - at, 2) for at, (_, arrival) in enumerate(found)]


def test_what_waited_for_the_network_goes_back_to_its_place():
    late = [0.05, 0.05, 4.05, 3.05, 2.05, 0.05, 0.05]  # a cut of 4 s: all of it came at its end
    assert delays_of(on_time(anchors(late), RATE)) == [0.05] * 7


def test_jitter_stays_as_it_is():
    jitter = [0.05, 0.90, 0.07, 0.20, 0.06]
    assert delays_of(on_time(anchors(jitter), RATE)) == jitter


def test_a_clock_that_stood_still_is_not_late():
    """The RTP clock lost 5 s, so everything seems to come 5 s later, for good."""
    moved = [(t, arrival + (5 * SECOND if n >= 3 else 0)) for n, (t, arrival) in enumerate(anchors([0.05] * 10))]
    assert on_time(moved, RATE) == moved


def test_a_delay_of_minutes_is_not_taken_for_lateness():
    long = [0.05] * 5 + [2.05] * 90 + [0.05] * 5
    assert delays_of(on_time(anchors(long), RATE)) == long


@given(st.integers(1, 3600))
def test_a_clock_that_jumps_forwards_moves_nothing_before(jump):
    media = [at + (jump if at >= 5 else 0) for at in range(10)]
    steady = anchors([0.05] * 10, media=media)
    assert on_time(steady, RATE) == steady


@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**50)), min_size=1, max_size=60))
def test_nothing_becomes_later_and_the_first_stays(frames):
    """Whatever timestamps and arrivals there are."""
    found = on_time(frames, RATE)
    assert found[0] == frames[0]
    assert all(a[0] == b[0] and a[1] <= b[1] for a, b in zip(found, frames, strict=True))
