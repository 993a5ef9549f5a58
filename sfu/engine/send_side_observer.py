"""The optional engine interface for send-side bandwidth estimation."""

from typing import Protocol, runtime_checkable

from sfu.engine.contract import Outgoing
from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary


@runtime_checkable
class SendSideObserver(Protocol):
    """Records of what is sent, and judging feedback by them."""

    def report_sent(self, peer: int, wanted: bool) -> None:
        """Remember what is sent to the peer from now on, as `sfu.machines.congestion.send_history` does, or nothing.

        Sizes are those of datagrams, times the `now` of the call that sent them; where an engine sends by itself, of
        the moment. A packet sent again without RTX is not remembered again.
        """

    def claim(self, peer: int, cluster: int = -1) -> SentSummary:
        """Sum up what was sent since the last call, as part of the probe `cluster` when that is not -1."""

    def observe(
        self, peer: int, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> FeedbackSummary | None:
        """Match feedback that came at `now` with what was sent; see `sfu.machines.congestion.feedback_analyser`."""

    def fold(self, peer: int, longest: int) -> None:
        """Take transport-wide feedback of the peer out of the RTCP that is left over, and tell what it says by
        `Result.observed` when there is something to judge, or after `longest` ns; but for 2 s after a probe, whose
        results count singly. Receiver reports that nothing is lost are not left over more often than that either. 0
        leaves all of it over."""

    def pad(self, peer: int, size: int, now: int) -> list[Outgoing]:
        """Send at least `size` bytes of padding at once, past the queue but charged to the budget.

        Padding is the newest packets of the peer's newest video route again, newest first and around, over RTX. Nothing
        when no route has RTX or packets.
        """
