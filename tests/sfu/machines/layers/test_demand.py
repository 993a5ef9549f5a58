"""The layers that a publisher should send."""

from sfu.machines.layers.demand import LayerDemand

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
