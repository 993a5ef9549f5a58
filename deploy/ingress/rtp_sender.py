"""Sender of a stream over SRTP: packets of H.264 and Opus, sender reports, retransmissions. Without I/O.

Media times are in µs. The unit with the least delay defines how they relate to the clock. The reports of both tracks
use this relation, so receivers can synchronise audio and video.
"""

import base64
import contextlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

import pylibsrtp

from sfu.api.ingress import AUDIO_TYPE, RTX_TYPE, VIDEO_TYPE
from sfu.api.plain_transport import SrtpKey
from sfu.formats import packetize, rtcp
from sfu.formats.codecs import Codec
from sfu.formats.ntp import ntp_time
from sfu.formats.rtcp_feedback import FullIntraRequest, Nack, PictureLoss
from sfu.formats.rtp import RtpPacket, is_rtcp, serialize, wrap_rtx

_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
_VIDEO_CLOCK, _AUDIO_CLOCK = 90_000, 48_000
_SECOND = 1_000_000_000
_REPORT_NS = _SECOND
_EARLY_NS = 80_000_000
_KEPT_PACKETS = 2048
_KEPT_NS = 2 * _SECOND
_PAUSE_NS = _SECOND // 2
_MAX_RESENT = 256
"""The most retransmissions in response to one datagram."""


@dataclass(slots=True)
class _Track:
    payload_type: int
    clock: int
    ssrc: int = field(default_factory=lambda: 1 + secrets.randbelow(0xFFFFFFFE))
    seq: int = field(default_factory=lambda: secrets.randbelow(1 << 15))
    offset: int = field(default_factory=lambda: secrets.randbelow(1 << 32))
    packets: int = 0
    octets: int = 0

    def timestamp(self, us: int) -> int:
        return (self.offset + us * self.clock // 1_000_000) % (1 << 32)


class RtpSender:
    """The sender of one transport. Times `now` are Unix times in ns."""

    def __init__(self, srtp: SrtpKey, zero: int | None = None) -> None:
        """`zero` is the Unix time (ns) of media time 0; None if it is not known yet."""
        key = base64.b64decode(srtp.key)
        profile = _PROFILES[srtp.suite]
        self._srtp = pylibsrtp.Session(pylibsrtp.Policy(key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._feedback = pylibsrtp.Session(
            pylibsrtp.Policy(key, pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        )
        self._video = _Track(VIDEO_TYPE, _VIDEO_CLOCK)
        self._rtx = _Track(RTX_TYPE, _VIDEO_CLOCK)
        self._audio = _Track(AUDIO_TYPE, _AUDIO_CLOCK)
        self._cname = secrets.token_hex(8)
        self._kept: OrderedDict[int, tuple[int, RtpPacket]] = OrderedDict()
        self._zero = zero
        self._reported = 0
        self._sent = 0
        self._unanswered_from: int | None = None
        self.keyframe_wanted = False

    @property
    def unanswered(self) -> int:
        """The time (ns) for which media was sent without authentic feedback; a pause of the source begins it anew."""
        return self._sent - self._unanswered_from if self._unanswered_from is not None else 0

    def video(self, us: int, access_unit: bytes, now: int) -> list[bytes]:
        """Return the datagrams of a picture."""
        payloads = packetize.packetize(Codec.H264, access_unit, keyframe=False)
        packets = self._packets(self._video, us, payloads, now)
        for packet in packets:
            self._kept[packet.seq] = now, packet
        while len(self._kept) > _KEPT_PACKETS:
            self._kept.popitem(last=False)
        return [self._srtp.protect(serialize(packet)) for packet in packets]

    def audio(self, us: int, frame: bytes, now: int) -> list[bytes]:
        """Return the datagram of an Opus frame."""
        return [self._srtp.protect(serialize(packet)) for packet in self._packets(self._audio, us, [frame], now)]

    def reports(self, now: int) -> list[bytes]:
        """Return the sender reports that are due."""
        if self._zero is None or now - self._reported < _REPORT_NS:
            return []
        self._reported = now
        ntp = ntp_time(now)
        us = (now - self._zero) // 1000
        reports = []
        for track in (self._video, self._audio):
            if track.packets:
                report = rtcp.SenderReport(
                    track.ssrc, ntp, track.timestamp(us), track.packets % (1 << 32), track.octets % (1 << 32)
                )
                described = rtcp.SourceDescription(((track.ssrc, self._cname),))
                reports.append(self._srtp.protect_rtcp(rtcp.serialize((report, described))))
        return reports

    def receive(self, datagram: bytes, now: int) -> list[bytes]:
        """Take feedback; return retransmissions. Datagrams that are not authentic RTCP are ignored."""
        if not is_rtcp(datagram):
            return []
        try:
            packets = rtcp.parse(self._feedback.unprotect_rtcp(datagram))
        except (pylibsrtp.Error, ValueError):
            return []
        self._unanswered_from = None
        resent: list[bytes] = []
        for packet in packets:
            if isinstance(packet, PictureLoss | FullIntraRequest):
                self.keyframe_wanted = True
            elif isinstance(packet, Nack) and packet.media_ssrc == self._video.ssrc:
                for seq in packet.seqs[: _MAX_RESENT - len(resent)]:
                    resent += self._resend(seq, now)
        return resent

    def _resend(self, seq: int, now: int) -> list[bytes]:
        kept = self._kept.get(seq)
        if kept is None or now - kept[0] > _KEPT_NS:
            return []
        self._rtx.seq = (self._rtx.seq + 1) % (1 << 16)
        wrapped = wrap_rtx(kept[1], RTX_TYPE, self._rtx.ssrc, self._rtx.seq)
        with contextlib.suppress(pylibsrtp.Error):
            return [self._srtp.protect(serialize(wrapped))]
        return []

    def _packets(self, track: _Track, us: int, payloads: list[bytes], now: int) -> list[RtpPacket]:
        if self._unanswered_from is None or now - self._sent > _PAUSE_NS:
            self._unanswered_from = now
        self._sent = now
        # The first units may be late because they waited; a unit with less delay corrects the relation. Small
        # corrections are left out: receivers tolerate slightly early media better than a clock that changes often.
        captured = now - us * 1000
        if self._zero is None or captured < self._zero - _EARLY_NS:
            self._zero = captured
        packets = []
        for index, payload in enumerate(payloads):
            track.seq = (track.seq + 1) % (1 << 16)
            track.packets += 1
            track.octets += len(payload)
            marker = track is self._video and index == len(payloads) - 1
            packets.append(RtpPacket(track.payload_type, track.seq, track.timestamp(us), track.ssrc, payload, marker))
        return packets
