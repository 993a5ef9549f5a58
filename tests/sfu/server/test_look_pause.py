"""The pause between reads of the sockets, which depends on the spare time."""

import pytest

from sfu.server.look_pause import MAX_NS, MIN_NS, LookPause

_SECOND = 1_000_000_000


@pytest.mark.parametrize(("busy", "pause"), [(0, MIN_NS), (0.5, 2 * MIN_NS), (0.95, MAX_NS), (1, MAX_NS)])
def test_an_idle_node_looks_often_and_a_busy_one_rarely(busy: float, pause: int) -> None:
    made = LookPause()
    for begun in range(0, _SECOND, 1_000_000):
        made.spent(begun, begun + round(busy * 1_000_000))
    assert made.pause == pytest.approx(pause, rel=0.05)
    assert made.busy == pytest.approx(busy, abs=0.05)
