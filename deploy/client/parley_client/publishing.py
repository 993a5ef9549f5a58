"""Publishing: packetises encoded frames to RTP with exact timestamps, retransmits, and sends sender reports."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from parley_client.descriptions import ENCODINGS, PAYLOAD_TYPES, RTX_PAYLOAD_TYPES, OfferedTrack
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from sfu.formats.header_extensions import AudioLevel, write_audio_level, write_identifier, write_transport_seq
from sfu.formats.ntp import ntp_time
from sfu.formats.packetize import packetize
from sfu.formats.rtcp import Nack, PictureLoss, SenderReport, SourceDescription, serialize
from sfu.formats.rtp import RtpPacket, wrap_rtx
from sfu.formats.rtp import serialize as serialize_rtp

_HISTORY_PACKETS = 1024
PublishedCodec = Codec


class TransportSequence:
    """A counter of transport-wide sequence numbers, shared by all packets of a peer."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        seq = self._next
        self._next = (seq + 1) & 0xFFFF
        return seq


@dataclass(slots=True)
class Publication:
    """A published track: `send_frame` packetises and sends a frame; NACKs are answered from the history."""

    source: Source
    codec: Codec
    mid: str
    cname: str
    transport_sequence: TransportSequence
    send_packet: Callable[[bytes], bool]
    encrypt: Callable[[bytes, bool], bytes] | None = None
    """A function that encrypts a frame; the flag is True for video, False for audio."""
    track: str = ""
    ssrc: int = field(default_factory=lambda: secrets.randbits(31) | 1)
    rtx_ssrc: int | None = None
    packets: int = 0
    octets: int = 0
    retransmitted: int = 0
    keyframe_requests: int = 0
    active: bool = True
    _seq: int = field(default_factory=lambda: secrets.randbits(14))
    _rtx_seq: int = field(default_factory=lambda: secrets.randbits(14))
    _picture_id: int = 0
    _last: tuple[int, int] | None = None
    _history: "OrderedDict[int, RtpPacket]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        if not self.codec.is_audio and self.rtx_ssrc is None:
            self.rtx_ssrc = secrets.randbits(31) | 1

    @property
    def offered(self) -> OfferedTrack:
        """The track's description in the publish offer."""
        return OfferedTrack(self.mid, self.codec, self.ssrc, self.rtx_ssrc, self.cname, self.active)

    @property
    def clock_rate(self) -> int:
        return ENCODINGS[self.codec][1]

    def send_frame(
        self,
        frame: bytes,
        timestamp: int,
        *,
        keyframe: bool = True,
        level: AudioLevel | None = None,
        lose: bool = False,
    ) -> int:
        """Send one encoded frame at RTP `timestamp` (any integer, taken mod 2**32); return its number of packets.

        With `lose`, its packets are numbered and kept but not sent, as if the network had lost them.
        """
        if self.encrypt is not None:
            frame = self.encrypt(frame, not self.codec.is_audio)
        payloads = packetize(self.codec, frame, keyframe=keyframe, picture_id=self._picture_id)
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        self._last = (timestamp & 0xFFFFFFFF, time.time_ns())
        for index, payload in enumerate(payloads):
            marker = not self.codec.is_audio and index == len(payloads) - 1
            packet = RtpPacket(
                PAYLOAD_TYPES[self.codec],
                self._seq,
                timestamp & 0xFFFFFFFF,
                self.ssrc,
                payload,
                marker,
                (),
                self._extensions(level),
            )
            self._seq = (self._seq + 1) & 0xFFFF
            self._remember(packet)
            self.packets += 1
            self.octets += len(payload)
            if not lose:
                self.send_packet(serialize_rtp(packet))
        return len(payloads)

    def retransmit(self, nack: Nack) -> None:
        """Answer a NACK: with RTX, or for audio with the packet itself."""
        for seq in nack.seqs:
            packet = self._history.get(seq)
            if packet is None:
                continue
            self.retransmitted += 1
            if self.rtx_ssrc is not None:
                packet = wrap_rtx(
                    packet, RTX_PAYLOAD_TYPES[self.codec], self.rtx_ssrc, self._rtx_seq, self._extensions(None)
                )
                self._rtx_seq = (self._rtx_seq + 1) & 0xFFFF
            self.send_packet(serialize_rtp(packet))

    def picture_loss(self, _: PictureLoss) -> None:
        """Count a keyframe request; sources read `keyframe_requests`."""
        self.keyframe_requests += 1

    def sender_report(self) -> bytes | None:
        """Return an SR with the CNAME, extrapolated to now; None before the first frame."""
        if self._last is None:
            return None
        timestamp, sent = self._last
        now = time.time_ns()
        elapsed = (now - sent) * self.clock_rate // 1_000_000_000
        report = SenderReport(self.ssrc, ntp_time(now), (timestamp + elapsed) & 0xFFFFFFFF, self.packets, self.octets)
        return serialize([report, SourceDescription(((self.ssrc, self.cname),))])

    def _extensions(self, level: AudioLevel | None) -> tuple[tuple[int, bytes], ...]:
        found = [(1, write_identifier(self.mid)), (3, write_transport_seq(self.transport_sequence.take()))]
        if level is not None:
            found.append((4, write_audio_level(level)))
        return tuple(found)

    def _remember(self, packet: RtpPacket) -> None:
        self._history[packet.seq] = packet
        if len(self._history) > _HISTORY_PACKETS:
            self._history.popitem(last=False)
