"""The layers that a publisher should send."""

from sfu.machines.layers.demand import LayerDemand, StreamDemand

SECOND = 1_000_000_000


def test_at_first_all_layers_are_sent() -> None:
    assert LayerDemand(3, 0).active == {0, 1, 2}


def test_a_layer_nobody_wants_stops_after_a_while() -> None:
    demand = LayerDemand(3, 0)
    assert not demand.update({0, 1}, 9 * SECOND)
    assert demand.timer() == 10 * SECOND
    assert demand.update({0, 1}, 10 * SECOND)
    assert demand.active == {0, 1}


def test_a_layer_that_is_wanted_is_back_at_once() -> None:
    demand = LayerDemand(3, 0)
    demand.update({0}, 20 * SECOND)
    assert demand.update({2}, 20 * SECOND + 1)
    assert 2 in demand.active


def test_the_lowest_stays_while_any_is_wanted() -> None:
    demand = LayerDemand(3, 0)
    demand.update({2}, 30 * SECOND)
    assert demand.active == {0, 2}


def test_without_watchers_nothing_is_sent() -> None:
    demand = LayerDemand(3, 0)
    assert demand.update((), 10 * SECOND)
    assert demand.active == frozenset()


def test_unknown_layers_are_passed_over() -> None:
    demand = LayerDemand(1, 0)
    demand.update({0, 5, -1}, SECOND)
    assert demand.active == {0}


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
