"""The peer that a participant publishes on: its uptracks, its streams, and the feedback that goes back.

Subclasses create them: `NegotiatedPublishPeer` (browsers, WHIP), `PlainPublishPeer`, `LinkPublishPeer`.
"""

import secrets
from collections.abc import Mapping, Sequence

from sfu.engine.contract import Arrival, ArrivalFlag, Leftover, LeftoverKind
from sfu.formats import rtcp
from sfu.machines.congestion.uplink_delay import UplinkWindow
from sfu.machines.ice.lite import Refusal
from sfu.machines.repair.repair_delay import RepairDelay
from sfu.machines.repair.stream_progress import OVERSIZE_BYTES
from sfu.machines.repair.thin_uplink import ThinUplink
from sfu.peers.coalescing import coalesce
from sfu.peers.context import Context, random_ssrc
from sfu.peers.data_channels import DataItem
from sfu.peers.peer import Peer
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.publish.capture_clock import CaptureClock
from sfu.peers.publish.ingress_registry import IngressRegistry
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.uplink_share import UplinkShare
from sfu.peers.publish.uptrack import UpTrack

_REPORT_INTERVAL_NS = 1_000_000_000
_IDLE_REPORT_NS = 30_000_000_000  # without packets there is nothing to report; the first one ends this interval
_CNAME_BYTES = 8
_QUEUE_NS, _LATELY_NS = 50_000_000, 500_000_000
# Plain integers: an IntFlag's operators are slow.
_KEYFRAME, _REPAIRED = int(ArrivalFlag.KEYFRAME), int(ArrivalFlag.REPAIRED)
_RESUMED, _OVERFLOWED = int(ArrivalFlag.RESUMED), int(ArrivalFlag.OVERFLOWED)


class PublishPeer:
    """One publish peer. `uptracks` is by mid."""

    def __init__(
        self, context: Context, participant: str, peer: Peer | PlainPeer, now: int, *, max_streams: int | None = None
    ) -> None:
        self.peer = peer
        self.participant = participant
        self.uptracks: dict[str, UpTrack] = {}
        self.clock = CaptureClock()
        self._context = context
        self._registry = IngressRegistry(context, self.peer.number, max_streams or context.limits.streams)
        self._ssrc = random_ssrc()
        self._cname = secrets.token_hex(_CNAME_BYTES)
        self._acknowledges = False
        self._waited_at = -_LATELY_NS
        self._repair_delay = RepairDelay()
        self._share = UplinkShare(context, self.peer.number, self._ssrc)
        self._next_report = now + _REPORT_INTERVAL_NS
        self._reports: list[tuple[int, rtcp.SenderReport, int]] = []

    @property
    def streams(self) -> Mapping[int, IngressStream]:
        return self._registry.streams

    def uptrack_of(self, stream: int) -> UpTrack | None:
        return self._registry.uptrack_of(stream)

    @property
    def uplink(self) -> ThinUplink:
        return self._registry.uplink

    def forget(self, uptrack: UpTrack) -> None:
        """Drop an uptrack and its streams; its m-section may be offered again."""
        self._registry.forget(uptrack)
        for mid, held in list(self.uptracks.items()):
            if held is uptrack:
                del self.uptracks[mid]

    def arrived(self, arrival: Arrival) -> bool:
        """Take a packet that the engine saw on one of our streams; return True if it may move `timer` forward."""
        stream = self._registry.streams.get(arrival.stream)
        if stream is None:
            return False
        hastens = stream.arrived(arrival)
        if arrival.gap and not arrival.flags & _OVERFLOWED:
            self._share.lost(arrival.arrival)
        if arrival.flags & _REPAIRED and not stream.codec.is_audio:
            self._repair_delay.repaired(arrival.arrival)
        if arrival.flags & _KEYFRAME and not stream.codec.is_audio:
            self._registry.learn_size(stream, arrival.ext_seq, arrival.arrival)
        if arrival.flags & _RESUMED:
            self._next_report = min(self._next_report, coalesce(arrival.arrival + _REPORT_INTERVAL_NS))
            return True
        return hastens

    def waited(self, window: UplinkWindow) -> None:
        """Take a window of feedback in which packets waited on their way, or others filled the queue before."""
        if window.queueing >= _QUEUE_NS:
            self._waited_at = window.until
        if self._share.waited(window):
            self._context.outbox.send(self.peer.protect_rtcp(rtcp.serialize(self._share.limits())))

    def waits(self, now: int) -> bool:
        """Return True if packets have waited on the uplink just now."""
        return now - self._waited_at < _LATELY_NS

    def _tell_oversize(self) -> None:
        """Count packets that may be too large for others' links, and warn once for each stream."""
        for stream in self._registry.streams.values():
            more = stream.progress.oversize - stream.told_oversize
            if not more:
                continue
            self._context.counters["packets_oversize"] += more
            if not stream.told_oversize:
                self._context.outbox.warnings.append(
                    f"participant {self.participant} sends packets of {stream.progress.largest} bytes: above"
                    f" {OVERSIZE_BYTES} bytes they may be cut up or lost on the way to others; FFmpeg takes pkt_size,"
                    " GStreamer's payloaders take mtu"
                )
            stream.told_oversize += more

    def unknown_ssrc(self, leftover: Leftover) -> IngressStream | None:
        """Register the stream of a packet by mid and rid; return the stream if it is new, or if its RTX is."""
        stream = self._registry.learn(leftover)
        if stream is not None:
            self._next_report = min(self._next_report, leftover.arrival + _REPORT_INTERVAL_NS)
        return stream

    def receive(self, leftover: Leftover, now: int) -> Refusal | None:
        """Take STUN, DTLS or RTCP."""
        if leftover.kind != LeftoverKind.RTCP:
            return self.peer.receive(leftover, now)
        report = rtcp.sender_report_alone(leftover.data)
        if report is not None:
            self._sender_report(report, leftover.arrival)
            return None
        try:
            packets = rtcp.parse(leftover.data)
        except ValueError:
            self._context.counters["rtcp_malformed"] += 1
            return None
        for packet in packets:
            self._control(packet, leftover.arrival, now)
        return None

    def _control(self, packet: rtcp.Packet, arrival: int, now: int) -> None:
        if isinstance(packet, rtcp.SenderReport):
            self._sender_report(packet, arrival)
        elif isinstance(packet, rtcp.Bye):
            self._goodbye(packet, now)

    def _sender_report(self, report: rtcp.SenderReport, arrival: int) -> None:
        stream = self._registry.by_ssrc(report.ssrc)
        if stream is not None:
            report = stream.sender_report(report, arrival)
            self._reports.append((stream.number, report, arrival))
            self.clock.update(report.ntp, self._context.ntp(arrival))

    def _goodbye(self, packet: rtcp.Bye, now: int) -> None:
        """Move watchers of ended streams to the remaining layers."""
        for ssrc in packet.ssrcs:
            stream = self._registry.by_ssrc(ssrc)
            uptrack = self._registry.uptrack_of(stream.number) if stream is not None else None
            if stream is not None and uptrack is not None:
                stream.ended()
                for watcher in uptrack.watchers:
                    watcher.choose(now)

    def connected(self, now: int) -> None:
        """Note that the peer is connected."""

    def take_data(self, now: int) -> list[DataItem]:
        """Return the messages that have come over data channels."""
        return []

    def hold_data(self, messages: Sequence[DataItem], now: int) -> int:
        """Have `take_data` return messages again later; return the number dropped, which is all of them here."""
        return len(messages)

    def release_data(self) -> list[DataItem]:
        """Return the messages that were held, whether or not they are due."""
        return []

    def take_reports(self) -> list[tuple[int, rtcp.SenderReport, int]]:
        """Return the sender reports since the last call: the stream's number, the report, its arrival time."""
        reports, self._reports = self._reports, []
        return reports

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next."""
        times = [self.peer.timer()]
        if self.peer.connected and not self.peer.closed:
            times += [self._next_report, self._repair_delay.timer()]
            times.extend(stream.timer() for stream in self._registry.streams.values())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Do what is due for the peer, and send the feedback that is due."""
        due = self.peer.timer()
        if due is not None and due <= now:
            self.peer.handle_timer(now)
        if self.peer.connected and not self.peer.closed:
            # Feedback may be reduced-size (RFC 5506); reports must be compound, with a CNAME.
            for compound in rtcp.serialize_within(self._due_feedback(now)):
                self._context.outbox.send(self.peer.protect_rtcp(compound))

    def _due_feedback(self, now: int) -> list[rtcp.Packet]:
        packets: list[rtcp.Packet] = []
        self._registry.sense_uplink(now)
        if now >= self._next_report:
            self._next_report = coalesce(now + _REPORT_INTERVAL_NS * self._context.pace)
            self._tell_oversize()
            blocks = [stream.report_block(now) for stream in self._registry.streams.values()]
            reports = tuple(block for block in blocks if block is not None)[:31]
            if reports:
                packets.append(rtcp.ReceiverReport(self._ssrc, reports))
                packets.append(rtcp.SourceDescription(((self._ssrc, self._cname),)))
            else:
                self._next_report = coalesce(now + _IDLE_REPORT_NS)
            packets += self._share.limits()
            self._wait_for_repairs(now)
        elif (step := self._repair_delay.timer()) is not None and now >= step:
            self._wait_for_repairs(now)
        for stream in self._registry.streams.values():
            for packet in stream.feedback(self._ssrc, now):
                if isinstance(packet, rtcp.Nack):
                    self._context.counters["nacks_sent"] += len(packet.seqs)
                else:
                    self._context.counters["plis_sent"] += 1
                packets.append(packet)
        return packets

    def _wait_for_repairs(self, now: int) -> None:
        """Have viewers show pictures late enough for the repairs of those that are lost."""
        delay = self._repair_delay.update(self._registry.nack_round_trip.smoothed, now, queue=self._share.queue)
        self._registry.delay_playout(delay)
