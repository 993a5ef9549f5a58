"""The first pictures of a single layer of unknown cost: shown as long as the link carries it."""

import pytest

from sfu.api import signaling
from sfu.flight.recorder import entries
from sfu.flight.replay import replay
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS, SECOND
from tests.support.link_model import LinkSettings


def lone(rate: int, waited: int) -> Call:
    """A camera that sends its top layer only, 1.7 Mbps, to a viewer that has waited so long (s) behind such a link."""
    call = Call(LinkSettings(rate=rate, delay=20 * MS))
    call.cameras[0].resting.update("qh")
    call.stage.run(waited * SECOND)
    return call


@pytest.mark.parametrize("rate", [2_000_000, 2_500_000, 5_000_000])
@pytest.mark.parametrize("waited", [0, 2, 20])
def test_it_is_never_paused_where_the_link_carries_it(rate: int, waited: int) -> None:
    call = lone(rate, waited)
    call.run(6)
    assert call.carried() == "f"
    assert call.bob.of(signaling.TrackState) == []


def test_its_start_is_over_once_it_is_known_to_fit() -> None:
    call = lone(5_000_000, 2)
    bandwidth = call.subscription.subscribe_peer.bandwidth
    assert bandwidth is not None
    call.run(0.6)
    assert bandwidth.is_starting
    call.run(1.4)
    assert not bandwidth.is_starting
    kept = entries(call.bob.membership.room.flight.raw())
    assert all(result.recorded == result.replayed for result in replay(kept).estimates)


def test_it_is_paused_as_soon_as_the_link_is_seen_to_be_too_narrow() -> None:
    call = lone(1_000_000, 3)
    call.run(2)
    assert call.carried() == ""
    assert [state.paused for state in call.bob.of(signaling.TrackState)] == [True]
    begin = call.stage.now
    call.run(2)
    # Only probes wait, for 61 ms at most.
    assert max(queueing for at, queueing in call.viewer.queueing if at > begin) < 65 * MS
