"""Retransmissions to a subscriber, in simulated time."""

from itertools import pairwise

from sfu.formats import rtcp
from sfu.peers.subscribe.downtrack import DownTrack
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)


def picture(call: Call) -> DownTrack:
    """Return what shows the camera."""
    return next(entry for entry in call.subscription.subscribe_peer.downtracks.values() if entry.kind == "video")


def test_what_was_lost_before_a_pause_is_not_sent_again() -> None:
    """It would only lengthen the congestion that led to the pause."""
    call = Call(WIDE)
    call.run(3)
    engine = call.stage.node.context.engine
    shown = picture(call)
    newest = engine.route_state(shown.route).last_seq & 0xFFFF

    def sent_again() -> int:
        before = engine.route_state(shown.route).retransmitted
        call.viewer.client.send_rtcp([rtcp.Nack(77, shown.ssrc, ((newest - 5) & 0xFFFF, newest))])
        call.stage.run(50 * MS)
        return engine.route_state(shown.route).retransmitted - before

    assert sent_again() == 2
    call.viewer.link.change(call.stage.now, rate=110_000)
    call.run(8)
    assert call.carried() == ""
    assert sent_again() == 0
    assert call.stage.node.context.counters["retransmissions_outdated"] == 2


def test_a_repair_that_was_lost_too_goes_twice_while_the_link_is_free() -> None:
    call = Call(WIDE)
    call.run(5)
    engine = call.stage.node.context.engine
    shown = picture(call)
    lost = engine.route_state(shown.route).last_seq & 0xFFFF
    sent = []
    for _ in range(2):
        before = engine.route_state(shown.route).retransmitted
        call.viewer.client.send_rtcp([rtcp.Nack(77, shown.ssrc, (lost,))])
        call.stage.run(100 * MS)
        sent.append(engine.route_state(shown.route).retransmitted - before)
    assert sent == [1, 2]


def longest_gap(call: Call, seconds: float) -> int:
    """The longest time between pictures, in ns, over a while."""
    begin = call.stage.now
    call.run(seconds)
    return max(after - before for before, after in pairwise(call.viewer.pictures) if before > begin)


def test_on_a_lossy_link_repairs_go_twice_so_that_hardly_a_picture_waits_for_a_second_request() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=25 * MS, loss=0.05))
    call.viewer.asks = True
    call.run(4)
    assert longest_gap(call, 15) < 150 * MS
    counters = call.stage.node.context.counters
    assert counters["retransmissions_doubled"] > 0.8 * counters["nacks_received"]


def test_under_heavy_loss_repairs_go_three_times() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=25 * MS, loss=0.2))
    call.viewer.asks = True
    call.run(6)
    counters = call.stage.node.context.counters
    asked, repeated = counters["nacks_received"], counters["retransmissions_doubled"]
    call.run(12)
    assert counters["retransmissions_doubled"] - repeated > 1.2 * (counters["nacks_received"] - asked)
