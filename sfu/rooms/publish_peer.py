"""The peer a participant publishes on, browser or WHIP: m-sections to uptracks, SSRCs to streams, feedback upstream."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfu.api.join_token import Grants, Source
from sfu.engine.contract import Arrival, Leftover, LeftoverKind, PeerEntry
from sfu.formats import rtcp
from sfu.machines.ice import Refusal
from sfu.machines.negotiation import Negotiated, NegotiatedMedia
from sfu.machines.negotiation_publish import PublishNegotiation, PublishPolicy
from sfu.machines.twcc_receiver import TwccReceiver
from sfu.rooms.capture_clock import CaptureClock
from sfu.rooms.context import Context, random_id, random_ssrc
from sfu.rooms.ingress_registry import IngressRegistry
from sfu.rooms.ingress_stream import IngressStream
from sfu.rooms.peer import Peer
from sfu.rooms.uptrack import UpTrack

_REPORT_INTERVAL_NS = 1_000_000_000
_CNAME_BYTES = 8
_AUDIO_SOURCES = (Source.MICROPHONE, Source.SCREEN_AUDIO)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the client says an m-section carries."""

    source: Source
    muted: bool = False


@dataclass(frozen=True, slots=True)
class PublishChange:
    """What an offer changed: the answer, and uptracks that came, stay or went, by mid."""

    answer: Negotiated
    added: tuple[UpTrack, ...]
    removed: tuple[UpTrack, ...]


class PublishPeer:
    """One publish peer. `uptracks` is by mid."""

    def __init__(self, context: Context, participant: str, now: int) -> None:
        self.peer = Peer(context.number(), context.engine, context.certificate, now)
        self.participant = participant
        self.uptracks: dict[str, UpTrack] = {}
        self.clock = CaptureClock()
        self._context = context
        self._negotiation = PublishNegotiation(secrets.randbits(62))
        self._registry = IngressRegistry(context, self.peer.number)
        self._ssrc = random_ssrc()
        self._cname = secrets.token_hex(_CNAME_BYTES)
        self._twcc: TwccReceiver | None = None
        self._next_report = now + _REPORT_INTERVAL_NS
        self._reports: list[tuple[int, rtcp.SenderReport, int]] = []

    @property
    def streams(self) -> Mapping[int, IngressStream]:
        return self._registry.streams

    def uptrack_of(self, stream: int) -> UpTrack | None:
        return self._registry.uptrack_of(stream)

    def offer(self, sdp: str, declared: Mapping[str, Declared], grants: Grants, now: int) -> PublishChange:
        """Take a client's offer; ValueError when it cannot be answered, which changes nothing."""
        if self._negotiation.restarts_ice(sdp):
            self.peer.restart_ice()
        policy = PublishPolicy()
        answer = self._negotiation.answer(sdp, self.peer.local(self._context.candidates), policy)
        self.peer.set_remote(answer.remote, now)
        extensions = {number: ext for media in answer.media for number, ext in media.extensions.items()}
        self._context.engine.set_peer(PeerEntry(self.peer.number, receive_extensions=extensions))
        if self._twcc is None and _wants_transport_feedback(answer.media):
            self._twcc = TwccReceiver(self._ssrc)
        removed = self._drop_stale(answer.media, declared)
        added = self._add_new(answer.media, declared, grants)
        self._registry.set_media(answer.media, self.uptracks)
        return PublishChange(answer, added, removed)

    def _drop_stale(self, media: Sequence[NegotiatedMedia], declared: Mapping[str, Declared]) -> tuple[UpTrack, ...]:
        sending = {section.mid: section for section in media if _receives(section)}
        stale = [
            mid
            for mid, uptrack in self.uptracks.items()
            if mid not in sending or (mid in declared and _source(uptrack.media.kind, declared[mid]) != uptrack.source)
        ]
        removed = tuple(self.uptracks.pop(mid) for mid in stale)
        for uptrack in removed:
            self._registry.forget(uptrack)
        return removed

    def _add_new(
        self, media: Sequence[NegotiatedMedia], declared: Mapping[str, Declared], grants: Grants
    ) -> tuple[UpTrack, ...]:
        added = []
        for section in media:
            if not _receives(section):
                continue
            if section.mid in self.uptracks:
                self.uptracks[section.mid].media = section
                continue
            if declared and section.mid not in declared:
                continue  # its track was unpublished, or is not announced yet
            said = declared.get(section.mid)
            source = _source(section.kind, said)
            uptrack = UpTrack(random_id("t"), self.participant, source, section)
            uptrack.muted = said is not None and said.muted
            uptrack.permitted = source in grants.publish
            uptrack.held = source in grants.muted
            self.uptracks[section.mid] = uptrack
            added.append(uptrack)
        return tuple(added)

    def forget(self, uptrack: UpTrack) -> None:
        """Drop an uptrack and its streams; its m-section may be offered anew."""
        self._registry.forget(uptrack)
        for mid, held in list(self.uptracks.items()):
            if held is uptrack:
                del self.uptracks[mid]

    def arrived(self, arrival: Arrival) -> None:
        """Take a packet that the engine saw on one of our streams."""
        stream = self._registry.streams.get(arrival.stream)
        if stream is None:
            return
        if self._twcc is not None and arrival.transport_seq >= 0:
            self._twcc.received(arrival.transport_seq, arrival.arrival, stream.ssrc)
        stream.arrived(arrival)

    def unknown_ssrc(self, leftover: Leftover) -> IngressStream | None:
        """Register the stream of a packet by its mid and rid; the stream when that is a new one or got its RTX."""
        return self._registry.learn(leftover)

    def receive(self, leftover: Leftover, now: int) -> Refusal | None:
        """Take STUN, DTLS or RTCP."""
        if leftover.kind != LeftoverKind.RTCP:
            return self.peer.receive(leftover, now)
        try:
            packets = rtcp.parse(leftover.data)
        except ValueError:
            self._context.counters["rtcp_malformed"] += 1
            return None
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                self._sender_report(packet, leftover.arrival)
            elif isinstance(packet, rtcp.Bye):
                self._goodbye(packet, now)
        return None

    def _sender_report(self, report: rtcp.SenderReport, arrival: int) -> None:
        stream = self._registry.by_ssrc(report.ssrc)
        if stream is not None:
            stream.sender_report(report, arrival)
            self._reports.append((stream.number, report, arrival))
            self.clock.update(report.ntp, self._context.ntp(arrival))

    def _goodbye(self, packet: rtcp.Bye, now: int) -> None:
        """Streams that end leave their watchers to the layers that stay."""
        for ssrc in packet.ssrcs:
            stream = self._registry.by_ssrc(ssrc)
            uptrack = self._registry.uptrack_of(stream.number) if stream is not None else None
            if stream is not None and uptrack is not None:
                stream.ended()
                for downtrack in uptrack.downtracks:
                    downtrack.choose(now)

    def take_reports(self) -> list[tuple[int, rtcp.SenderReport, int]]:
        """Return sender reports since the last call: the stream's number, the report, its arrival."""
        reports, self._reports = self._reports, []
        return reports

    def timer(self) -> int | None:
        """When `handle_timer` has work next."""
        times = [self.peer.timer()]
        if self.peer.connected and not self.peer.closed:
            times.append(self._next_report)
            times.append(self._twcc.timer() if self._twcc is not None else None)
            times.extend(stream.timer() for stream in self._registry.streams.values())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Send the feedback that is due, besides what the peer itself does."""
        self.peer.handle_timer(now)
        if self.peer.connected and not self.peer.closed:
            # Reduced size (RFC 5506) is fine for feedback; reports go out compound, with a CNAME.
            for compound in rtcp.serialize_within(self._due_feedback(now)):
                self._context.outbox.send(self._context.engine.protect_rtcp(self.peer.number, compound))

    def _due_feedback(self, now: int) -> list[rtcp.Packet]:
        packets: list[rtcp.Packet] = []
        if now >= self._next_report:
            self._next_report = now + _REPORT_INTERVAL_NS
            blocks = [stream.report_block(now) for stream in self._registry.streams.values()]
            reports = tuple(block for block in blocks if block is not None)[:31]
            if reports:
                packets.append(rtcp.ReceiverReport(self._ssrc, reports))
                packets.append(rtcp.SourceDescription(((self._ssrc, self._cname),)))
        for stream in self._registry.streams.values():
            for packet in stream.feedback(self._ssrc, now):
                if isinstance(packet, rtcp.Nack):
                    self._context.counters["nacks_sent"] += len(packet.seqs)
                else:
                    self._context.counters["plis_sent"] += 1
                packets.append(packet)
        if self._twcc is not None:
            packets.extend(self._twcc.due(now))
        return packets


def _source(kind: str, said: Declared | None) -> Source:
    """What a section carries: as the client says, unless that is of the other kind, which no grant could allow."""
    is_audio = kind == "audio"
    if said is not None and (said.source in _AUDIO_SOURCES) == is_audio:
        return said.source
    return Source.MICROPHONE if is_audio else Source.CAMERA


def _receives(section: NegotiatedMedia) -> bool:
    return section.accepted and section.direction.receives


def _wants_transport_feedback(media: Sequence[NegotiatedMedia]) -> bool:
    return any("transport-cc" in payload.feedback for section in media for payload in section.payloads.values())
