"""Subscribing: received packets per slot, with the feedback a browser would send (RFC 3550, RFC 4585, transport-cc)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.header_extensions import parse_transport_seq
from sfu.formats.keyframes import is_keyframe_start
from sfu.formats.rtcp import Nack, Packet, PictureLoss, ReceiverReport, SenderReport, serialize
from sfu.formats.rtp import RtpPacket, parse, unwrap_rtx
from sfu.formats.rtp import serialize as serialize_rtp
from sfu.formats.sdp import MediaSection, SessionDescription
from sfu.formats.unwrap import Unwrapper
from sfu.frames.assembler import Frame, FrameAssembler
from sfu.machines.repair.nack import NackGenerator
from sfu.machines.repair.receive_statistics import ReceiveStatistics
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.machines.repair.twcc_receiver import TwccReceiver

_CODECS = {"opus": Codec.OPUS, "vp8": Codec.VP8, "vp9": Codec.VP9, "h264": Codec.H264, "av1": Codec.AV1}
_ROUND_TRIP = 50_000_000
_UNDECODED = 4096  # the maximum number of packets before a keyframe that the keyframe makes useless


@dataclass(slots=True)
class ReceivedStream:
    """The media received in a slot. `frames` are complete encoded frames in order, kept while `keep_frames`."""

    mid: str
    kind: str
    ssrc: int
    rtx_ssrc: int | None
    clock_rates: dict[int, tuple[Codec, int]]
    rtx_payload_types: dict[int, int]
    keep_frames: bool = False
    decrypt: Callable[[bytes, bool], bytes | None] | None = None
    """A function that decrypts a frame, or returns None if it cannot; the flag is True for video, False for audio."""
    on_frame: Callable[["ReceivedStream", Frame], None] | None = None
    packets: int = 0
    undecrypted: int = 0
    repaired: int = 0
    frame_count: int = 0
    keyframe_count: int = 0
    first_packet_at: int | None = None
    first_frame_at: int | None = None
    codec: Codec | None = None
    frames: list[Frame] = field(default_factory=list)
    sender_reports: list[SenderReport] = field(default_factory=list)
    _unwrap: Unwrapper = field(default_factory=lambda: Unwrapper(16))
    _seen: set[int] = field(default_factory=set)
    _nack: NackGenerator = field(default_factory=lambda: NackGenerator(skip_at_keyframe=True))
    _assembler: FrameAssembler | None = None
    _assembled: Codec | None = None
    _statistics: ReceiveStatistics | None = None
    _progress: StreamProgress = field(default_factory=StreamProgress)

    def receive(self, packet: RtpPacket, now: int) -> None:
        """Process a packet of this slot's SSRC or RTX SSRC."""
        repaired = packet.ssrc == self.rtx_ssrc
        if repaired:
            original = self.rtx_payload_types.get(packet.payload_type)
            if original is None or len(packet.payload) <= 2:
                return
            packet = unwrap_rtx(packet, original, self.ssrc)
        known = self.clock_rates.get(packet.payload_type)
        if known is None:
            return
        ext_seq = self._unwrap.unwrap(packet.seq)
        if ext_seq in self._seen:
            return
        self._seen.add(ext_seq)
        if len(self._seen) > 4096:
            self._seen = {seq for seq in self._seen if seq > ext_seq - 2048}
        begins = self.kind == "video" and is_keyframe_start(known[0], packet.payload)
        self._account(packet, ext_seq, known, now, repaired=repaired, begins=begins)
        assembler = self._assembler_for(known[0])
        items = assembler.push(ext_seq, now, serialize_rtp(packet))
        if begins:  # a viewer would not wait for packets from before it
            items += assembler.missed(ext_seq - _UNDECODED, _UNDECODED)
        for item in items:
            if isinstance(item, Frame):
                self._take(item, now)

    def feedback(self, sender_ssrc: int, now: int) -> list[Packet]:
        """Return the NACKs that are due."""
        missing = self._nack.due(now, _ROUND_TRIP)
        return [Nack(sender_ssrc, self.ssrc, tuple(seq & 0xFFFF for seq in missing))] if missing else []

    def report(self, sender_ssrc: int, now: int) -> list[Packet]:
        """Return the receiver report of this interval."""
        block = self._statistics.report_block(now) if self._statistics else None
        return [ReceiverReport(sender_ssrc, (block,))] if block else []

    def sender_report(self, report: SenderReport, now: int) -> None:
        """Process the slot's SR."""
        self.sender_reports.append(report)
        del self.sender_reports[:-64]
        if self._statistics:
            self._statistics.sender_report(report, now)

    def _account(
        self, packet: RtpPacket, ext_seq: int, known: tuple[Codec, int], now: int, *, repaired: bool, begins: bool
    ) -> None:
        self.packets += 1
        self.repaired += repaired
        self.codec = known[0]
        if self.first_packet_at is None:
            self.first_packet_at = now
        if self._statistics is None:
            self._statistics = ReceiveStatistics(self.ssrc, self._progress)
        self._progress.take(ext_seq, now, packet.timestamp, clock_rate=known[1], repaired=repaired)
        self._nack.received(ext_seq, now, keyframe=begins)

    def _assembler_for(self, codec: Codec) -> FrameAssembler:
        if self._assembler is None or self._assembled is not codec:  # a slot can show a track of any codec
            self._assembler, self._assembled = FrameAssembler(codec), codec
        return self._assembler

    def _take(self, frame: Frame, now: int) -> None:
        if self.decrypt is not None:
            clear = self.decrypt(frame.data, self.kind == "video")
            if clear is None:
                self.undecrypted += 1
                return
            frame = frame._replace(data=clear)
        self.frame_count += 1
        self.keyframe_count += frame.keyframe and self.kind == "video"
        if self.first_frame_at is None and frame.intact:
            self.first_frame_at = now
        if self.keep_frames:
            self.frames.append(frame)
        if self.on_frame is not None:
            self.on_frame(self, frame)


class SubscribePeerReceiver:
    """Assigns a subscribe peer's packets to its slots and produces the peer's RTCP."""

    def __init__(
        self,
        sender_ssrc: int,
        *,
        keep_frames: bool = False,
        decrypt: Callable[[bytes, bool], bytes | None] | None = None,
        on_frame: Callable[[ReceivedStream, Frame], None] | None = None,
    ) -> None:
        self.streams: dict[str, ReceivedStream] = {}
        self.unknown = 0
        self._sender_ssrc = sender_ssrc
        self._keep_frames = keep_frames
        self._decrypt = decrypt
        self._on_frame = on_frame
        self._by_ssrc: dict[int, ReceivedStream] = {}
        self._transport_seq_id: int | None = None
        self._twcc = TwccReceiver(sender_ssrc)

    def apply(self, offer: SessionDescription) -> None:
        """Add the slots of an offer; known ones stay."""
        for section in offer.media:
            mid = section.mid or ""
            if mid in self.streams or section.kind not in ("audio", "video"):
                continue
            stream = _stream(section, self._keep_frames)
            stream.decrypt, stream.on_frame = self._decrypt, self._on_frame
            self.streams[mid] = stream
            self._by_ssrc[stream.ssrc] = stream
            if stream.rtx_ssrc is not None:
                self._by_ssrc[stream.rtx_ssrc] = stream
            for extension in section.extensions:
                if extension.uri == URIS[Extension.TRANSPORT_SEQ]:
                    self._transport_seq_id = extension.id

    def receive_rtp(self, data: bytes, now: int) -> None:
        """Process an unprotected RTP packet."""
        packet = parse(data)
        for id_, value in packet.extensions:
            if id_ == self._transport_seq_id:
                self._twcc.received(parse_transport_seq(value), now, packet.ssrc)
        stream = self._by_ssrc.get(packet.ssrc)
        if stream is None:
            self.unknown += 1
            return
        stream.receive(packet, now)

    def receive_rtcp(self, packets: Iterable[Packet], now: int) -> None:
        """Process the server's RTCP."""
        for packet in packets:
            if isinstance(packet, SenderReport) and packet.ssrc in self._by_ssrc:
                self._by_ssrc[packet.ssrc].sender_report(packet, now)

    def feedback(self, now: int) -> bytes | None:
        """Return the NACKs and transport-wide feedback that are due, as one compound packet."""
        packets: list[Packet] = list(self._twcc.due(now))
        for stream in self.streams.values():
            packets += stream.feedback(self._sender_ssrc, now)
        return serialize(packets) if packets else None

    def reports(self, now: int) -> bytes | None:
        """Return the receiver reports of all slots, as one compound packet."""
        packets = [p for stream in self.streams.values() for p in stream.report(self._sender_ssrc, now)]
        return serialize(packets) if packets else None

    def picture_loss(self, mid: str) -> bytes:
        """Return a PLI for a slot."""
        return serialize([PictureLoss(self._sender_ssrc, self.streams[mid].ssrc)])


def _stream(section: MediaSection, keep_frames: bool) -> ReceivedStream:
    groups = [group.ssrcs for group in section.ssrc_groups if group.semantics == "FID"]
    ssrc = groups[0][0] if groups else section.ssrcs[0].ssrc
    rates = {
        m.payload_type: (_CODECS[m.name.lower()], m.clock_rate) for m in section.rtp_maps if m.name.lower() in _CODECS
    }
    rtx = {p.payload_type: int(p.values["apt"]) for p in section.parameters if "apt" in p.values}
    return ReceivedStream(
        section.mid or "", section.kind, ssrc, groups[0][1] if groups else None, rates, rtx, keep_frames
    )
