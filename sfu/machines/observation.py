"""What feedback about packets says of a link, reduced to what is judged per message: nothing here decides anything.

Fed each packet that goes out and each feedback message. Engines observe; this is what runs in the Python one, and the
specification of what the compiled one does.
"""

from typing import NamedTuple

from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.arrival_windows import ArrivalWindows
from sfu.machines.loss_windows import LossWindow, LossWindows
from sfu.machines.packet_groups import GroupDelta, PacketGroups
from sfu.machines.send_history import FeedbackReport, PacketResult, SendHistory, SentPacket, received_in_order


class SentSummary(NamedTuple):
    """Packets that went out, their bytes, and when the first and the last of them did; zeros for none."""

    packets: int
    size: int
    first: int
    last: int


class Observation(NamedTuple):
    """What a message says.

    `round_trip` is of the newest packet that arrived, `smallest_delay` from sending to arrival, the clocks' difference
    included; both None when nothing did. `rates` are of windows of arrivals, in kbit/s. `deltas` come with the arrival
    of the packet that ended them. `losses` is a window that the message completed. `results` are those of packets of
    probes that arrived, in the order of arrival; or all, in the order of sending, where the whole was asked for.
    """

    round_trip: int | None
    smallest_delay: int | None
    rates: tuple[float, ...]
    deltas: tuple[tuple[GroupDelta, int], ...]
    losses: LossWindow | None
    results: tuple[PacketResult, ...]


class Observer:
    """One per peer."""

    def __init__(self) -> None:
        self._history = SendHistory()
        self._groups = PacketGroups()
        self._arrivals = ArrivalWindows()
        self._losses = LossWindows()
        self._unclaimed = SentSummary(0, 0, 0, 0)

    def sent(self, packet: SentPacket) -> None:
        """Take a packet that went out; in order."""
        self._history.sent(packet)
        packets, size, first, _ = self._unclaimed
        self._unclaimed = SentSummary(packets + 1, size + packet.size, first if packets else packet.at, packet.at)

    def claim(self, cluster: int = -1) -> SentSummary:
        """Sum up what went out since the last call, as part of the probe `cluster` when that is not -1."""
        self._history.mark(cluster)
        summary, self._unclaimed = self._unclaimed, SentSummary(0, 0, 0, 0)
        return summary

    def observe(
        self, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> Observation | None:
        """Take a message that came at `now`; None when it says nothing new."""
        if isinstance(message, TransportFeedback):
            report = self._history.feedback(message, now)
        else:
            report = self._history.congestion_feedback(message, now)
        return self._reduce(report, now, whole) if report.results else None

    def _reduce(self, report: FeedbackReport, now: int, whole: bool) -> Observation:
        arrived = received_in_order(report.results)
        rates = [self._arrivals.received(arrival, result.size) for result, arrival in arrived]
        deltas = [
            (self._groups.received(result.sent, arrival, result.size, now), arrival) for result, arrival in arrived
        ]
        return Observation(
            report.round_trip,
            min((arrival - result.sent for result, arrival in arrived), default=None),
            tuple(rate for rate in rates if rate is not None),
            tuple((delta, arrival) for delta, arrival in deltas if delta is not None),
            self._losses.add(report.results),
            report.results if whole else tuple(result for result, _ in arrived if result.cluster >= 0),
        )
