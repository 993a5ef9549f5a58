"""The verdict on growing, steady and shrinking delays."""

import random
from collections.abc import Callable

import pytest

from sfu.machines.congestion.overuse import OveruseDetector, Usage
from sfu.machines.congestion.packet_groups import GroupDelta

MS = 1_000_000


def verdicts(extra: Callable[[int], float], groups: int = 200) -> list[Usage]:
    """Groups 20 ms apart, of which number n arrives `extra(n)` ms later than even spacing would have it."""
    detector = OveruseDetector()
    at = 0
    found = []
    for number in range(groups):
        arrival = int((20 + extra(number)) * MS)
        at += arrival
        found.append(detector.update(GroupDelta(20 * MS, arrival, 0), at))
    return found


def test_steady_delay_is_normal() -> None:
    assert set(verdicts(lambda _: 0.0)) == {Usage.NORMAL}


@pytest.mark.parametrize("growth", [1.0, 2.0, 5.0])
def test_growing_delay_is_overuse_soon(growth: float) -> None:
    found = verdicts(lambda number: growth if number >= 100 else 0.0)
    assert Usage.OVERUSE not in found[:100]
    assert Usage.OVERUSE in found[100:130]


def test_shrinking_delay_is_underuse() -> None:
    assert Usage.UNDERUSE in verdicts(lambda number: -2.0 if number >= 100 else 0.0)[100:]


@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_no_overuse(seed: int) -> None:
    dice = random.Random(seed)
    offsets = [dice.uniform(0, 4) for _ in range(501)]
    found = verdicts(lambda number: offsets[number + 1] - offsets[number], 500)
    assert found.count(Usage.OVERUSE) <= 5


def test_a_quiet_link_shows_even_a_small_growth() -> None:
    assert Usage.OVERUSE in verdicts(lambda number: 0.6 if number >= 200 else 0.0, 240)[200:]
