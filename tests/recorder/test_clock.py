"""Clocks: mapping of drifting, jittering, differing clocks to the sfu's, over hours."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.clock import SECOND, ClockMap, Report, StreamClock, fit, line_below

BASE = 10_000 * SECOND
DELAY = SECOND // 100


def stream(seconds, rate=90_000, every=1.0, drift=0.0, ntp=0, jitter=0.02, seed=1, start=0.0):
    """A stream's reports and frames: what is captured at t on the sfu's clock has RTP time t * (1 + drift)."""
    dice = random.Random(seed)
    reports = []
    anchors = [
        (round((start + t) * (1 + drift) * rate), BASE + round((start + t) * SECOND) + DELAY)
        for t in range(max(1, round(seconds - start)))
    ]
    at = start
    while at < seconds:
        timestamp = round(at * (1 + drift) * rate)
        sender = ntp + round(at * (1 + drift) * SECOND)
        reports.append(Report(timestamp, sender, BASE + round((at + dice.random() * jitter) * SECOND) + DELAY))
        at += every
    return StreamClock(rate, reports, anchors)


def error(clock_map, at, rate=90_000, drift=0.0):
    """Return how far, in s, an instant is mapped from where it was, the least delay taken off."""
    mapped = clock_map.at(round(at * (1 + drift) * rate))
    return (mapped - BASE - DELAY) / SECOND - at


@pytest.mark.parametrize("drift", [0, 100e-6, -100e-6, 2e-3])
def test_three_hours_of_drift(drift):
    hours = stream(3 * 3600, drift=drift)
    (found,) = fit([hours])
    assert max(abs(error(found, at, drift=drift)) for at in range(0, 3 * 3600, 61)) < 0.012


def test_a_drift_that_changes_with_the_temperature():
    reports, at, media = [], 0.0, 0.0
    truth = []
    for second in range(7200):
        reports.append(Report(round(media * 90_000), 0, BASE + round(at * SECOND) + DELAY))
        truth.append((round(media * 90_000), at))
        at += 1
        media += 1 + (100e-6 if second < 3600 else -100e-6)
    anchors = [(r.timestamp, r.arrival) for r in reports]
    (found,) = fit([StreamClock(90_000, reports, anchors)])
    assert max(abs((found.at(t) - BASE - DELAY) / SECOND - at) for t, at in truth) < 0.035


def test_sound_and_picture_of_one_sender_stay_together():
    """Audio has one report in five seconds, all late; the sender's NTP clock, shared, makes up for it."""
    picture = stream(60, seed=2)
    late = stream(60, rate=48_000, every=5.0, seed=3)
    late = late._replace(reports=[r._replace(arrival=r.arrival + SECOND // 20) for r in late.reports])
    maps = fit([picture, late])
    for at in range(0, 60, 7):
        assert abs(error(maps[0], at) - error(maps[1], at, rate=48_000)) < 0.005


def test_streams_with_ntp_clocks_of_their_own_go_by_arrival():
    maps = fit([stream(60, seed=2, ntp=-(10**15)), stream(60, rate=48_000, seed=3, ntp=SECOND)])
    for at in range(0, 60, 7):
        assert abs(error(maps[0], at) - error(maps[1], at, rate=48_000)) < 0.020


def test_an_ntp_clock_that_was_set_is_not_trusted():
    stepped = stream(60, seed=2)
    stepped = stepped._replace(
        reports=[r._replace(ntp=r.ntp + (90 * SECOND if i > 30 else 0)) for i, r in enumerate(stepped.reports)]
    )
    maps = fit([stepped, stream(60, rate=48_000, seed=3)])
    for at in range(0, 60, 7):
        assert abs(error(maps[0], at)) < 0.02
        assert abs(error(maps[1], at, rate=48_000)) < 0.02


def counting(stream, samples):
    """The stream with an RTP clock that stands at `samples(t)` s after t s; it is silent while that is None."""

    def counted(timestamp):
        count = samples(timestamp / stream.clock_rate)
        return None if count is None else round(count * stream.clock_rate)

    reports = [r._replace(timestamp=at) for r in stream.reports if (at := counted(r.timestamp)) is not None]
    anchors = [(at, arrival) for timestamp, arrival in stream.anchors if (at := counted(timestamp)) is not None]
    return stream._replace(reports=reports, anchors=anchors)


@pytest.mark.parametrize("other_ntp", [0, SECOND])
@pytest.mark.parametrize("gone", [0.5, 3, 8])
def test_a_microphone_whose_count_stood_still_goes_on_where_it_is_heard(gone, other_ntp):
    """A busy machine gave it no samples from 31 s on: what is said later is heard when it came, beside the picture."""
    picture = stream(60, seed=2, ntp=other_ntp)

    def samples(at):
        return at if at <= 31 else at - gone if at > 31 + gone else None

    sound = counting(stream(60, rate=48_000, every=5.0, seed=3), samples)
    (seen, heard) = fit([picture, sound])
    assert not seen.problem
    assert not heard.problem
    for at in range(60):
        assert abs(error(seen, at)) < 0.02
        if at <= 30:
            assert abs(error(heard, at, rate=48_000)) < 0.03
        elif at > 31 + gone:
            assert abs(error(heard, at - gone, rate=48_000) - gone) < 0.03


@pytest.mark.parametrize("other_ntp", [0, SECOND])
def test_a_microphone_that_loses_samples_all_the_time_stays_beside_the_picture(other_ntp):
    """In small pieces, which none of its reports shows by itself."""
    sound = counting(stream(600, rate=48_000, every=5.0, seed=3), lambda t: t * 0.988)
    (_, heard) = fit([stream(600, seed=2, ntp=other_ntp), sound])
    assert not heard.problem
    assert max(abs(error(heard, at * 0.988, rate=48_000) - at * 0.012) for at in range(600)) < 0.1


def test_a_lone_report_maps_everything():
    (found,) = fit([stream(1)])
    assert error(found, 3600) == pytest.approx(error(found, 0), abs=1e-6)


def test_frames_arrivals_do_without_reports():
    anchors = [(round(at * 90_000), BASE + at * SECOND + DELAY) for at in range(30)]
    (found,) = fit([StreamClock(90_000, [], anchors)])
    assert abs(error(found, 17)) < 0.001


def test_noise_of_a_short_recording_is_not_taken_for_drift():
    (found,) = fit([stream(4, jitter=0.05)])
    assert abs(error(found, 600) - error(found, 0)) < 0.001


@pytest.mark.parametrize("ahead", [2.5, -2.5, 600, 20_000, -20_000])
def test_reports_that_the_frames_belie_are_not_believed(ahead):
    honest = stream(60)
    lies = [r._replace(timestamp=r.timestamp + round(ahead * 90_000)) for r in honest.reports]
    (found,) = fit([honest._replace(reports=lies)])
    assert max(abs(error(found, at)) for at in range(60)) < 0.02
    assert f"up to {abs(ahead):.1f} s off" in found.problem


def test_a_few_lies_do_not_cost_the_honest_reports():
    honest = stream(60)
    mixed = [r._replace(timestamp=r.timestamp + 90_000_000) if i % 3 else r for i, r in enumerate(honest.reports)]
    (found,), (truth,) = fit([honest._replace(reports=mixed)]), fit([honest])
    assert max(abs(found.at(at * 90_000) - truth.at(at * 90_000)) for at in range(60)) < SECOND // 50
    assert found.problem
    assert not truth.problem


def test_an_encoder_that_lags_is_believed():
    """Its frames come a second and a half after they were captured, as its reports say."""
    slow = stream(60)
    slow = slow._replace(anchors=[(t, arrival + 3 * SECOND // 2) for t, arrival in slow.anchors])
    (found,) = fit([slow])
    assert max(abs(error(found, at)) for at in range(60)) < 0.02
    assert not found.problem


def test_a_participant_that_lies_moves_nobody_else():
    """Neither the other one's streams, nor those of its own that are honest."""
    picture, sound = stream(60, seed=2), stream(60, rate=48_000, every=5.0, seed=3)
    lying = picture._replace(reports=[r._replace(timestamp=r.timestamp + 10**9) for r in picture.reports])
    maps = fit([lying, sound])
    assert [bool(found.problem) for found in maps] == [True, False]
    for at in range(0, 60, 7):
        assert abs(error(maps[0], at)) < 0.03
        assert abs(error(maps[1], at, rate=48_000)) < 0.03


@given(
    st.lists(st.tuples(st.integers(0, 9 * 90_000), st.integers(0, SECOND)), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 2**62), st.integers(0, 100 * SECOND)), max_size=20),
)
def test_whatever_a_sender_says_frames_stay_where_they_came(steps, claims):
    """Timestamps run as they like, forwards, and reports say anything: no frame is placed far from its arrival."""
    timestamp, arrival, anchors = 0, BASE, []
    for ticks, ns in steps:
        timestamp, arrival = timestamp + ticks, arrival + ns
        anchors.append((timestamp, arrival))
    reports = [Report(timestamp, ntp, BASE + at) for timestamp, ntp, at in claims]
    (found,) = fit([StreamClock(90_000, sorted(reports, key=lambda r: r.arrival), anchors)])
    last, first = dict(anchors), dict(reversed(anchors))
    for timestamp, latest in last.items():
        assert first[timestamp] - 2 * SECOND <= found.at(timestamp) <= latest + SECOND // 10


@given(
    st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 10**13)), min_size=1, max_size=40), st.integers(0, 10**6)
)
def test_a_map_is_below_all_points_and_never_runs_backwards(points, seed):
    points = [(x, x + delay) for x, delay in points]
    knots = line_below(points)
    assert all(a[0] < b[0] for a, b in pairwise(knots))
    if max(x for x, _ in points) - min(x for x, _ in points) < 600 * SECOND:
        mapped = ClockMap(SECOND, knots)
        assert all(mapped.at(x) <= y + 2 for x, y in points)
        inside = sorted(x for x, _ in points)
        assert all(mapped.at(a) <= mapped.at(b) for a, b in pairwise(inside))
