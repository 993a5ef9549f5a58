"""NACK: which packets are requested, when, and when they are given up."""

import random
from heapq import heappop, heappush

import pytest

from sfu.formats import rtcp
from sfu.machines.repair.nack import GivenUp, GiveUp, NackGenerator

MS = 1_000_000
RTT = 50 * MS


def missing(*seqs, last=10, **options):
    """A generator that has seen 0..last but for `seqs`, all at time 0."""
    generator = NackGenerator(**options)
    for seq in range(last + 1):
        if seq not in seqs:
            generator.received(seq, 0)
    return generator


def test_a_gap_is_asked_for_at_once():
    generator = missing(4, 5, 7)
    assert generator.timer() == 0
    assert generator.due(0, RTT) == [4, 5, 7]
    assert generator.due(0, RTT) == []


def test_an_unbroken_stream_asks_for_nothing():
    generator = missing()
    assert generator.timer() is None
    assert generator.due(10_000 * MS, RTT) == []
    assert generator.missing == 0


def test_what_came_before_the_first_packet_is_not_missing():
    generator = NackGenerator()
    generator.received(100, 0)
    generator.received(99, 0)
    assert generator.due(0, RTT) == []


def test_tries_back_off_by_the_round_trip():
    generator = missing(5)
    tries = []
    for now in range(0, 1500 * MS, MS):
        if generator.due(now, RTT):
            tries.append(now // MS)
    assert tries == [0, 60, 135, 229, 347, 494, 678, 907, 1194]
    assert generator.due(1553 * MS, RTT) == []
    assert generator.given_up() == [GivenUp(5, GiveUp.AGE)]


def test_a_short_round_trip_does_not_flood():
    generator = missing(5)
    assert generator.due(0, 0) == [5]
    assert generator.timer() == 20 * MS


def test_the_timer_says_when_there_is_work():
    generator = missing(3, 8)
    now = 0
    asked = []
    for _ in range(100):
        at = generator.timer()
        if at is None:
            break
        assert at >= now
        now = at
        asked += generator.due(now, RTT)
    assert asked.count(3) == asked.count(8) <= 10
    assert generator.missing == 0


def test_tries_are_limited():
    generator = missing(5, max_tries=3)
    asked = sum(len(generator.due(now, 0)) for now in range(0, 1000 * MS, MS))
    assert asked == 3
    assert generator.given_up() == [GivenUp(5, GiveUp.TRIES)]
    assert generator.given_up() == []


def test_a_repair_ends_the_asking_and_measures_the_round_trip():
    generator = missing(5, 6)
    generator.due(2 * MS, RTT)
    assert generator.received(5, 42 * MS, repaired=True) == 40 * MS
    assert generator.received(6, 43 * MS) is None
    assert generator.missing == 0


def test_a_repair_after_two_tries_measures_nothing():
    generator = missing(5)
    generator.due(0, 0)
    generator.due(20 * MS, 0)
    assert generator.received(5, 42 * MS, repaired=True) is None


def test_a_recorder_wants_what_precedes_a_keyframe():
    generator = missing(5)
    generator.received(11, 0, keyframe=True)
    assert generator.due(0, RTT) == [5]


def test_a_keyframe_may_end_the_asking():
    generator = missing(4, 5, 7, skip_at_keyframe=True)
    generator.received(13, 0, keyframe=True)
    assert generator.due(0, RTT) == []
    assert generator.given_up() == [
        GivenUp(4, GiveUp.KEYFRAME, 2),
        GivenUp(7, GiveUp.KEYFRAME),
        GivenUp(11, GiveUp.KEYFRAME, 2),
    ]


def test_a_long_gap_is_bounded_and_reported_as_a_range():
    generator = NackGenerator(max_missing=100)
    generator.received(0, 0)
    generator.received(30_001, 0)
    assert generator.missing == 100
    assert generator.due(0, RTT) == list(range(29_901, 30_001))
    assert generator.given_up() == [GivenUp(1, GiveUp.OVERFLOW, 29_900)]


def test_a_nack_fits_a_datagram():
    generator = NackGenerator()
    for seq in range(0, 1000, 2):
        generator.received(seq, 0)
    first = generator.due(0, RTT)
    assert len(rtcp.serialize([rtcp.Nack(1, 2, tuple(first))])) < 1200
    assert generator.timer() == 0
    assert first + generator.due(0, RTT) == list(range(1, 999, 2))
    assert generator.due(0, RTT) == []


def test_many_gaps_are_bounded():
    generator = NackGenerator(max_missing=100)
    for seq in range(0, 100_000, 2):
        generator.received(seq, 0)
    assert generator.missing == 100
    assert len(generator.given_up()) <= 1024


@pytest.mark.parametrize("seed", range(5))
def test_with_five_percent_loss_both_ways_everything_arrives(seed):
    """2000 packets, 2 ms apart, 40 ms round trip; data, requests and repairs are lost alike."""
    dice = random.Random(seed)
    generator = NackGenerator()
    inbound: list[tuple[int, int, bool]] = [
        (seq * 2 * MS, seq, False) for seq in range(2000) if seq in (0, 1999) or dice.random() > 0.05
    ]
    received = set()
    longest = 0
    for now in range(0, 5000 * MS, MS):
        while inbound and inbound[0][0] <= now:
            _, seq, repaired = heappop(inbound)
            received.add(seq)
            longest = max(longest, now - seq * 2 * MS)
            generator.received(seq, now, repaired=repaired)
        for seq in generator.due(now, 40 * MS):
            if dice.random() > 0.05 and dice.random() > 0.05:
                heappush(inbound, (now + 40 * MS, seq, True))
    assert received == set(range(2000))
    assert longest < 500 * MS
    assert generator.given_up() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_timer_is_never_later_than_the_work(seed):
    """For any arrivals, the timer announces every instant at which a continuously polled generator would act."""
    chance = random.Random(seed)
    by_timer, always = NackGenerator(), NackGenerator()
    seq = 0
    for now in range(0, 2_000 * MS, 2 * MS):
        if chance.random() < 0.3:
            seq += chance.choice((1, 1, 1, 2, 5))
            came = seq if chance.random() < 0.8 else max(0, seq - chance.randrange(20))
            by_timer.received(came, now)
            always.received(came, now)
        at = by_timer.timer()
        asked = by_timer.due(now, RTT) if at is not None and at <= now else []
        assert asked == always.due(now, RTT)
        assert by_timer.missing == always.missing


def test_what_we_dropped_ourselves_is_never_asked_for():
    generator = missing(4)
    generator.received(20, 0, ours=True)
    assert generator.due(0, RTT) == [4]
    assert generator.given_up() == [GivenUp(11, GiveUp.OURS, 9)]
    generator.received(22, 0)
    assert generator.due(1000 * MS, RTT) == [4, 21]


def test_where_only_so_many_may_be_asked_for_the_others_wait_a_while():
    generator = missing(2, 4, 6, 8)
    assert generator.due(0, RTT, 2) == [2, 4]
    assert generator.timer() == 20 * MS
    assert generator.due(20 * MS, RTT, 0) == []
    assert generator.timer() == 40 * MS
    assert generator.due(40 * MS, RTT) == [6, 8]


def test_what_is_given_up_at_once_is_asked_for_no_more():
    generator = missing(4, 5)
    generator.give_up_all(GiveUp.THIN)
    assert generator.given_up() == [GivenUp(4, GiveUp.THIN, 2)]
    assert generator.timer() is None and generator.due(0, RTT) == []
