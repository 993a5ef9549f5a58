"""Up to which layers a stream is wanted, and for how long."""

from sfu.machines.layers.stream_demand import StreamDemand

SECOND = 1_000_000_000


def test_nothing_flows_before_it_is_wanted_and_a_while_after_that() -> None:
    demand = StreamDemand(3, 2, 0)
    assert demand.update(None, 0) is None
    assert demand.update((2, 1), SECOND) == (2, 1)
    assert demand.update(None, 10 * SECOND) == (2, 1)
    assert demand.update(None, 12 * SECOND) is None


def test_a_rise_counts_at_once_and_a_fall_later() -> None:
    demand = StreamDemand(3, 3, 0)
    demand.update((0, 2), 11 * SECOND)
    assert demand.update((0, 2), 12 * SECOND) == (0, 2)
    assert demand.update((1, 0), 13 * SECOND) == (1, 2)
    assert demand.update((0, 0), 22 * SECOND) == (1, 0)
    assert demand.update((0, 0), 24 * SECOND) == (0, 0)


def test_what_is_beyond_counts_as_the_top() -> None:
    demand = StreamDemand(2, 1, 0)
    assert demand.update((255, 255), 11 * SECOND) == (1, 0)
