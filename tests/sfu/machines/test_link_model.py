"""The emulated link keeps its own promises; otherwise, no bar measured over it would mean anything."""

from itertools import groupby

import pytest

from tests.support.link_model import Link, LinkSettings

MS = 1_000_000
SECOND = 1000 * MS


def loss_runs(link: Link[int], packets: int) -> list[int]:
    lost = [not link.push(index, 1000, index * MS) for index in range(packets)]
    return [len(list(run)) for is_lost, run in groupby(lost) if is_lost]


@pytest.mark.parametrize(("burst", "stay"), [(None, 0.1), (4.0, 0.75)])
@pytest.mark.parametrize("seed", range(3))
def test_runs_of_losses_are_geometric(burst: float | None, stay: float, seed: int) -> None:
    """Chi-square over runs of 1..4 and longer ones, against P(n) = stay**(n-1) * (1 - stay)."""
    runs = loss_runs(Link(LinkSettings(loss=0.1, burst=burst), seed), 200_000)
    shares = [stay**n * (1 - stay) for n in range(4)]
    shares.append(1 - sum(shares))
    counts = [sum(run == n for run in runs) for n in range(1, 5)]
    counts.append(len(runs) - sum(counts))
    expected = [share * len(runs) for share in shares]
    statistic = sum((count - want) ** 2 / want for count, want in zip(counts, expected, strict=True))
    assert statistic < 18.5  # 0.1 % of four degrees of freedom


@pytest.mark.parametrize("burst", [None, 4.0])
def test_the_mean_loss_is_as_set(burst: float | None) -> None:
    link = Link[int](LinkSettings(loss=0.1, burst=burst), 1)
    assert sum(loss_runs(link, 100_000)) == pytest.approx(10_000, rel=0.06)


def test_the_same_seed_loses_the_same_packets() -> None:
    settings = LinkSettings(loss=0.2, burst=3.0)
    assert loss_runs(Link(settings, 5), 1000) == loss_runs(Link(settings, 5), 1000)
    assert loss_runs(Link(settings, 5), 1000) != loss_runs(Link(settings, 6), 1000)


def test_a_packet_takes_its_serialization_and_delay() -> None:
    link = Link[str](LinkSettings(rate=1_000_000, delay=20 * MS), 1)
    link.push("a", 1250, 0)  # 10 ms at 1 Mbps
    link.push("b", 1250, 0)
    assert link.pop(29 * MS) == []
    assert [at // MS for at, _ in link.pop(SECOND)] == [30, 40]


def test_the_queue_holds_300_ms_and_drops_the_tail() -> None:
    link = Link[int](LinkSettings(rate=1_000_000), 1)
    sent = [index for index in range(100) if link.push(index, 1250, 0)]
    assert sent == list(range(30))
    assert link.overflowed == 70
    assert link.queueing_delay == 300 * MS


def test_what_waits_is_served_at_a_new_rate() -> None:
    link = Link[int](LinkSettings(rate=1_000_000), 1)
    for index in range(10):
        link.push(index, 1250, 0)
    link.change(55 * MS, rate=500_000)
    assert [at // MS for at, _ in link.pop(SECOND)] == [10, 20, 30, 40, 50, 65, 85, 105, 125, 145]


def test_jitter_keeps_the_order() -> None:
    link = Link[int](LinkSettings(delay=10 * MS, jitter=30 * MS), 1)
    for index in range(200):
        link.push(index, 100, index * MS)
    arrived = link.pop(SECOND)
    assert [packet for _, packet in arrived] == list(range(200))
    delays = [at - packet * MS for at, packet in arrived]
    assert min(delays) >= 10 * MS
    assert max(delays) < 40 * MS
    assert len(set(delays)) > 20


def test_it_says_when_something_happens_next() -> None:
    link = Link[int](LinkSettings(rate=1_000_000, delay=20 * MS), 1)
    assert link.next_event() is None
    link.push(1, 1250, 0)
    while (at := link.next_event()) is not None:
        if link.pop(at):
            assert at // MS == 30
            break
    assert link.next_event() is None


def test_later_packets_pass_those_that_take_a_detour() -> None:
    link = Link[int](LinkSettings(delay=10 * MS, overtaken=0.2, detour=5 * MS), 1)
    for index in range(10_000):
        link.push(index, 1000, index * MS)
    arrived = link.pop(20_000 * MS)
    late = [index for at, index in arrived if at - index * MS == 15 * MS]
    assert len(late) == pytest.approx(2000, rel=0.1)
    assert {at - index * MS for at, index in arrived} == {10 * MS, 15 * MS}
    assert [index for _, index in arrived] != sorted(range(10_000))
    assert sorted(index for _, index in arrived) == list(range(10_000))
