"""The subscribe peer: downtracks, and RTCP with the subscriber. It is the counterpart of the publish peer."""

from collections.abc import Mapping, Sequence

from sfu.engine.contract import Drop, Leftover, LeftoverKind, PeerEntry
from sfu.flight.recorder import ParticipantFlight
from sfu.formats import rtcp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.congestion.feedback_analyser import FeedbackSummary
from sfu.machines.congestion.shared_line import Raises
from sfu.machines.ice.lite import Refusal
from sfu.machines.negotiation.agreement import DtlsRole, Negotiated, NegotiatedMedia
from sfu.machines.negotiation.subscribe import OfferedSlot
from sfu.machines.repair.repair_delay import RepairDelay
from sfu.machines.repair.round_trip import RoundTrip
from sfu.peers.coalescing import coalesce
from sfu.peers.context import Context
from sfu.peers.data_channels import DataItem, Labels, Sent
from sfu.peers.data_port import DataPort
from sfu.peers.peer import Peer
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.subscribe.audio_copies import AudioCopies
from sfu.peers.subscribe.bandwidth import Bandwidth
from sfu.peers.subscribe.downtrack import DownTrack, SlotEncoding
from sfu.peers.subscribe.nack_responder import NackResponder
from sfu.peers.subscribe.picture_copies import PictureCopies

_REPORT_INTERVAL_NS = 1_000_000_000
_IDLE_REPORT_NS = 30_000_000_000
_LATER_REPORT_NS = 5_000_000_000  # the clocks of a running stream hardly diverge (libwebrtc, for audio: the same)
_REPORTS_PER_DATAGRAM = 20
_SPREAD = 64
_SECOND = 1_000_000_000


class SubscribePeer:
    """A peer that only receives media. `downtracks` is by mid."""

    def __init__(self, context: Context, now: int, peer: PlainPeer | Peer | None = None) -> None:
        """`peer` is that of a plain transport, or one that also publishes; without it, a peer is created, to be
        negotiated.
        """
        self.peer = peer or context.peer(now)
        self.downtracks: dict[str, DownTrack] = {}
        self.ever_added = 0
        """The number of downtracks ever added, including those replaced since."""
        self.round_trip = RoundTrip()
        self.bandwidth: Bandwidth | None = None
        self.flight: ParticipantFlight | None = None
        self.data: DataPort | None = None
        self.audio_copies = AudioCopies(self.peer.number, context.engine, now)
        self.picture_copies = PictureCopies(self.peer.number, context.engine, now)
        self._nack_responder = NackResponder(self.peer.number, context)
        self._raises = Raises(context.shared_lines, self.peer.number)
        self._repair_delay = RepairDelay()
        self._playout_delay = 0
        self._context = context
        self._by_ssrc: dict[int, DownTrack] = {}
        self._by_route: dict[int, DownTrack] = {}
        self._next_report = now + _REPORT_INTERVAL_NS
        self._next_round = now

    def add(self, slot: OfferedSlot, now: int) -> DownTrack:
        """Add the downtrack of a new slot."""
        downtrack = DownTrack(self._context, self.peer.number, slot, managed=isinstance(self.peer, Peer))
        self.downtracks[slot.mid] = downtrack
        self.ever_added += 1
        self._by_ssrc[slot.ssrc] = downtrack
        self._by_route[downtrack.route] = downtrack
        self._context.routes[downtrack.route] = self.peer.number
        if self.peer.connected:
            downtrack.connect(now)
        return downtrack

    def replace(self, slot: OfferedSlot, now: int) -> DownTrack:
        """Replace the downtrack of a slot that now has other SSRCs."""
        before = self.downtracks[slot.mid]
        before.clear()
        del self._context.routes[before.route], self._by_ssrc[before.ssrc], self._by_route[before.route]
        if before.in_table:
            self._context.engine.remove_route(before.route)
        return self.add(slot, now)

    def connected(self, now: int) -> None:
        """Start media, now that the peer's keys are in the engine."""
        context = self._context
        if self.bandwidth is None and context.observer is not None and isinstance(self.peer, Peer):
            self.bandwidth = Bandwidth(
                self.peer.number,
                context.engine,
                context.observer,
                context.outbox,
                now,
                raises=self._raises,
                flight=self.flight,
            )
        for downtrack in self.downtracks.values():
            downtrack.connect(now)
        if self.data is not None:
            self.data.connect(now)

    def open_data(self, labels: Labels | None = None) -> None:
        """Offer data channels; they open once the far end has agreed. With `labels` they are opened in band."""
        self.data = DataPort(self.negotiated, self._context.counters, labels)

    def take_data(self, now: int) -> list[DataItem]:
        """Return the messages that have arrived over data channels."""
        return [] if self.data is None else self.data.take(now)

    def hold_data(self, messages: Sequence[DataItem], now: int) -> int:
        """Have `take_data` return messages again later; return the number dropped for lack of room."""
        return len(messages) if self.data is None else self.data.hold(messages, now)

    def release_data(self) -> list[DataItem]:
        """Return the messages that were held, whether or not they are due."""
        return [] if self.data is None else self.data.release()

    def send_data(self, message: DataItem, now: int) -> Sent:
        """Send a message over a data channel; return its fate."""
        return Sent.NO_CHANNEL if self.data is None else self.data.send(message, now)

    @property
    def negotiated(self) -> Peer:
        """The peer, which must be a negotiated one."""
        assert isinstance(self.peer, Peer)
        return self.peer

    def agree(self, agreed: Negotiated, now: int) -> None:
        """Take the outcome of an exchange: extension ids, payload types per slot, the remote side."""
        self.negotiated.set_remote(agreed.remote, now)
        extensions: dict[Extension, int] = {}
        for section in agreed.media:
            extensions.update({ext: number for number, ext in section.extensions.items()})
        self._context.engine.set_peer(PeerEntry(self.peer.number, send_extensions=extensions))
        self.agree_slots(agreed.media, now)
        if self.data is not None:
            self.data.agree(agreed.data, now, dtls_client=agreed.remote.role is DtlsRole.CLIENT)

    def agree_slots(self, media: Sequence[NegotiatedMedia], now: int) -> None:
        """Take the slots' agreed payload types."""
        for section in media:
            downtrack = self.downtracks.get(section.mid)
            if downtrack is not None and section.accepted and section.direction.sends:
                downtrack.agree(encoding_of(section), now)

    def switched(self, route: int, stream: int, now: int) -> DownTrack | None:
        """Take a switch of a route by the engine; return its downtrack, and plan the reports of a track that begins.

        Reports are spread out: hundreds of subscribers may begin at one keyframe, and reports to all at once would
        delay media.
        """
        downtrack = self._by_route.get(route)
        if downtrack is None:
            return None
        if downtrack.switched(stream):
            wait = (1 + self.peer.number % _SPREAD) * _REPORT_INTERVAL_NS // _SPREAD
            self._next_report = min(self._next_report, now + wait)
        return downtrack

    def receive(self, leftover: Leftover, now: int) -> Refusal | None:
        """Take STUN, DTLS, RTCP, or RTP that a subscriber has no right to send."""
        if leftover.kind == LeftoverKind.UNKNOWN_SSRC:
            self._context.drops[Drop.NOT_PERMITTED] += 1
            return None
        if leftover.kind != LeftoverKind.RTCP:
            return self.peer.receive(leftover, now)
        blocks = rtcp.reports_alone(leftover.data)
        if blocks is not None:
            self._reported(blocks, leftover.arrival)
            return None
        try:
            packets = rtcp.parse(leftover.data)
        except ValueError:
            self._context.counters["rtcp_malformed"] += 1
            return None
        for packet in packets:
            self.control(packet, leftover.arrival, now)
        return None

    def observed(self, summary: FeedbackSummary, arrival: int) -> None:
        """Take the summary of the subscriber's feedback about its link."""
        if self.bandwidth is not None:
            self.bandwidth.observed(summary, arrival)

    def control(self, packet: rtcp.Packet, arrival: int, now: int) -> None:
        """Take an RTCP packet."""
        if isinstance(packet, rtcp.ReceiverReport | rtcp.SenderReport):
            self._reported(packet.reports, arrival)
            return
        if self.bandwidth is not None:
            self.bandwidth.control(packet, arrival)
        if isinstance(packet, rtcp.Nack):
            self._nack(packet, now)
        elif isinstance(packet, rtcp.PictureLoss):
            self._keyframe(packet.media_ssrc, now)
        elif isinstance(packet, rtcp.FullIntraRequest):
            for ssrc, _ in packet.entries:
                self._keyframe(ssrc, now)

    def _reported(self, blocks: Sequence[rtcp.ReportBlock], arrival: int) -> None:
        if self.bandwidth is not None and blocks:
            self.bandwidth.reported(blocks, arrival)
        for block in blocks:
            self.round_trip.report(block, arrival)
            downtrack = self._by_ssrc.get(block.ssrc)
            if downtrack is not None:
                downtrack.fraction_lost = block.fraction_lost
                downtrack.jitter = block.jitter * _SECOND // downtrack.clock_rate

    def _nack(self, packet: rtcp.Nack, now: int) -> None:
        downtrack = self._by_ssrc.get(packet.media_ssrc)
        if downtrack is None:
            return
        round_trip = self.round_trip.smoothed
        is_new = self._nack_responder.asked(downtrack, packet.seqs, self.bandwidth, round_trip, now)
        if is_new and downtrack.kind == "video" and self.round_trip.measured:
            self._repair_delay.repaired(now)
            self._wait_for_repairs(now)

    def _wait_for_repairs(self, now: int) -> None:
        """Have the subscriber show pictures late enough for the repairs of those that it loses."""
        delay = self._repair_delay.update(self.round_trip.smoothed, now)
        if delay != self._playout_delay:
            self._playout_delay = delay
            self._context.engine.set_peer_playout_delay(self.peer.number, delay)

    def _keyframe(self, ssrc: int, now: int) -> None:
        downtrack = self._by_ssrc.get(ssrc)
        if downtrack is not None:
            self._context.counters["plis_received"] += 1
            downtrack.request_keyframe(now)

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next."""
        at = self.peer.timer()
        if not self.peer.connected or self.peer.closed:
            return at
        at = self._next_report if at is None else min(at, self._next_report)
        if self.bandwidth is not None:
            at = min(at, self.bandwidth.timer())
        if (due := self.picture_copies.timer()) is not None:
            at = min(at, due)
        if (due := self._nack_responder.timer()) is not None:
            at = min(at, due)
        if (due := self._repair_delay.timer()) is not None:
            at = min(at, due)
        if self.data is not None and (due := self.data.timer()) is not None:
            at = min(at, due)
        return at

    def handle_timer(self, now: int) -> None:
        """Do what is due for the peer, and send the sender reports that are due."""
        due = self.peer.timer()
        if due is not None and due <= now:
            self.peer.handle_timer(now)
        if not self.peer.connected or self.peer.closed:
            return
        if self.bandwidth is not None:
            self._raises.move(self.negotiated.address)
            self.bandwidth.handle_timer(now, self._context.pace)
            self._nack_responder.handle_timer(self.bandwidth, now)
            self.audio_copies.judge(self.downtracks.values(), self.bandwidth, now)
            self._context.outbox.send(self.picture_copies.due(self.downtracks.values(), self.bandwidth, now))
        if self.data is not None:
            self.data.handle_timer(now)
        if (due := self._repair_delay.timer()) is not None and now >= due:
            self._wait_for_repairs(now)
        if not self._flows(now):
            self._next_report = now + _IDLE_REPORT_NS  # no wake-up, since there is nothing to report
        elif now >= self._next_report:
            more_soon = self._send_reports(now)
            self._wait_for_repairs(now)
            self._next_report = coalesce(now + _REPORT_INTERVAL_NS if more_soon else self._next_round)

    def _flows(self, now: int) -> bool:
        """Return True if there is anything to report now or soon."""
        for downtrack in self.downtracks.values():
            if downtrack.stream is not None and downtrack.stream.active(now):
                return True
        return False

    def _send_reports(self, now: int) -> bool:
        """Send reports of tracks that began lately, and in each round of all; return whether more are due in a
        second.
        """
        is_round = now >= self._next_round
        if is_round:
            self._next_round = now + _LATER_REPORT_NS
        carrying = [
            downtrack
            for downtrack in self.downtracks.values()
            if downtrack.stream is not None and (is_round or downtrack.early_reports)
        ]
        reports = [(downtrack, downtrack.sender_report(now)) for downtrack in carrying]
        known = [(downtrack, report) for downtrack, report in reports if report is not None]
        for start in range(0, len(known), _REPORTS_PER_DATAGRAM):
            part = known[start : start + _REPORTS_PER_DATAGRAM]
            for downtrack, report in part:
                downtrack.early_reports = max(0, downtrack.early_reports - 1)
                self.round_trip.sent(report.ntp, now)
            names = rtcp.SourceDescription(tuple((downtrack.ssrc, downtrack.cname) for downtrack, _ in part))
            compound = rtcp.serialize([*(report for _, report in part), names])
            self._context.outbox.send(self.peer.protect_rtcp(compound))
        return any(downtrack.early_reports for downtrack in carrying)

    def close(self, now: int) -> None:
        """Stop all tracks and close the peer."""
        self.stop()
        self._context.outbox.send(self.peer.close(now))

    def stop(self) -> None:
        """Stop all tracks; the peer continues for incoming media."""
        self._raises.leave()
        for downtrack in self.downtracks.values():
            downtrack.clear()
            del self._context.routes[downtrack.route]


def encoding_of(section: NegotiatedMedia) -> SlotEncoding:
    """Return the payload types that a section agreed on, for routes."""
    payload_types: dict[Codec, int] = {}
    rtx: dict[int, int] = {}
    for number, payload in section.payloads.items():
        if payload.codec is Codec.RTX:
            if payload.repairs is not None:
                rtx[payload.repairs] = number
        else:
            payload_types.setdefault(payload.codec, number)
    return SlotEncoding(payload_types, _only_known(rtx, payload_types))


def _only_known(rtx: Mapping[int, int], payload_types: Mapping[Codec, int]) -> dict[int, int]:
    known = set(payload_types.values())
    return {repaired: number for repaired, number in rtx.items() if repaired in known}
