"""The optional engine interface for send-side bandwidth estimation."""

from typing import Protocol, runtime_checkable

from sfu.engine.contract import Outgoing
from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary


@runtime_checkable
class SendSideObserver(Protocol):
    """Records sent packets, and evaluates feedback by them."""

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
        """Take the peer's transport-wide feedback out of the RTCP that is left to policy, and report it by
        `Result.observed` when there is something to judge, or after `longest` ns. For 2 s after a probe each message is
        reported, since each result counts. Receiver reports without loss are not left to policy more often than that
        either. 0 leaves everything to policy.
        """

    def pad(self, peer: int, size: int, now: int) -> list[Outgoing]:
        """Send at least `size` bytes of padding at once, past the queue but charged to the budget.

        Padding repeats the newest packets of the peer's newest video route over RTX, newest first, and starts over at
        the end. Nothing is sent when no route has RTX or packets.
        """
