"""The optional engine interface for send-side bandwidth estimation."""

from typing import Protocol, runtime_checkable

from sfu.engine.contract import Outgoing
from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary


@runtime_checkable
class SendSideObserver(Protocol):
    """Records sent packets, and matches feedback with them."""

    def report_sent(self, peer: int, wanted: bool) -> None:
        """Remember packets sent to the peer from now on, as in `sfu.machines.congestion.send_history`, or stop.

        Sizes are those of datagrams. Times are the `now` of the call that sent them, or the actual time if an engine
        sends by itself. A packet sent again without RTX is not remembered again.
        """

    def claim(self, peer: int, cluster: int = -1) -> SentSummary:
        """Return what was sent since the last call, and assign it to the probe `cluster` unless that is -1."""

    def observe(
        self, peer: int, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> FeedbackSummary | None:
        """Match feedback that arrived at `now` with sent packets; see `sfu.machines.congestion.feedback_analyser`."""

    def fold(self, peer: int, longest: int) -> None:
        """Handle the peer's transport-wide feedback without leaving it to policy, and report it in `Result.observed` if
        there is something to judge, or after `longest` ns. For 2 s after a probe each message is reported, since each
        result counts. Receiver reports without loss are also left to policy only that often. With 0 everything is left
        to policy.
        """

    def pad(self, peer: int, size: int, now: int) -> list[Outgoing]:
        """Send at least `size` bytes of padding at once, bypassing the queue but charged to the budget.

        Padding repeats the newest packets of the peer's newest video route over RTX, newest first, and starts over at
        the end. If none of them is cached any longer, it consists of packets without payload. Nothing is sent if no
        route has RTX, or before its first packet.
        """
