"""Coalescing: work that can wait is done for all at once, other work immediately, and nothing is reordered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.contract import Observed, Result
from sfu.formats import rtcp
from sfu.machines.congestion.feedback_analyser import FeedbackSummary
from sfu.machines.congestion.loss_windows import LossWindow
from sfu.machines.congestion.overuse import Usage
from sfu.peers.coalescing import COALESCING_NS, coalesce, coalesce_nearest
from sfu.peers.subscribe.bandwidth import Bandwidth
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS, Stage
from tests.sfu.rooms.test_media import call
from tests.support.link_model import LinkSettings

CALM = FeedbackSummary(20 * MS, 20 * MS, (1000.0,), False, Usage.NORMAL, 3000, 2 * MS, LossWindow(100, 0, 1e6), ())


@given(st.integers(0, 10**15), st.integers(0, 10**9))
def test_coalesced_times_are_never_before_what_waits_for_them(now: int, wait: int) -> None:
    assert 0 <= coalesce(now) - now < COALESCING_NS
    nearest = coalesce_nearest(now + wait, now)
    assert nearest > now
    assert nearest % COALESCING_NS == 0
    assert abs(nearest - now - wait) <= (COALESCING_NS if wait < COALESCING_NS else COALESCING_NS // 2)


def test_a_report_waits_to_be_coalesced_and_a_keyframe_asked_for_does_not() -> None:
    stage = Stage()
    _, receiver = call(stage)
    bob = stage.node.rooms["r"].participants["bob"]
    assert bob.subscription is not None
    downtrack = next(iter(bob.subscription.subscribe_peer.downtracks.values()))
    counters = stage.node.context.counters
    asked = counters["plis_received"]

    def hear(fraction: int, *more: rtcp.Packet) -> None:
        block = rtcp.ReportBlock(downtrack.ssrc, fraction, 1, 0, 0)
        receiver.send_rtcp([rtcp.ReceiverReport(1, (block,)), *more])
        stage.deliver()

    hear(12)
    assert downtrack.fraction_lost == 0
    stage.run(COALESCING_NS + 10 * MS)
    assert downtrack.fraction_lost == 12
    hear(7, rtcp.PictureLoss(1, downtrack.ssrc))
    assert counters["plis_received"] == asked + 1
    assert downtrack.fraction_lost == 7


@pytest.mark.parametrize(
    "urgent",
    [
        CALM._replace(losses=LossWindow(100, 1, 1e6)),
        CALM._replace(overused=True),
        CALM._replace(usage=Usage.OVERUSE),
        CALM._replace(queueing=60 * MS),
    ],
)
def test_trouble_is_judged_at_once_and_after_what_waits(
    urgent: FeedbackSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewed = Call(LinkSettings(rate=5_000_000, delay=20 * MS))
    number = viewed.subscription.subscribe_peer.peer.number
    judged: list[FeedbackSummary | None] = []
    monkeypatch.setattr(Bandwidth, "observed", lambda self, summary, arrival: judged.append(summary))

    def hear(summary: FeedbackSummary) -> None:
        now = viewed.stage.now
        viewed.stage.node.receive(Result(observed=[Observed(number, summary, now)]), now)

    hear(CALM)
    assert judged == []
    hear(urgent)
    assert judged == [CALM, urgent]
    hear(CALM)
    viewed.stage.run(COALESCING_NS + 10 * MS)
    assert judged[:3] == [CALM, urgent, CALM]
