"""RTCP (RFC 3550, section 6), compound or reduced-size (RFC 5506), with the feedback messages of RFC 4585 and 5104.

`parse` reads a datagram into values and `serialize` writes them. Packet types and feedback formats that the sfu has no
use for (XR, APP, ...) come back as `Unknown`, so that one of them never costs the rest of a compound. A length that
runs past the datagram, or a packet shorter than its counts say, is ValueError.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sfu.formats.transport_feedback import TransportFeedback


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """RFC 3550, 6.4.1. `fraction_lost` of 256, `packets_lost` signed 24-bit, `jitter` in clock units.

    `last_report` is the middle 32 bits of the NTP time of the last SR and `delay` since it in 1/65536 s; 0 for none.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_seq: int
    jitter: int
    last_report: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`ntp` is NTP 32.32 of the sender's clock at which its RTP clock showed `rtp_timestamp`."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """(SSRC, CNAME) of each chunk; CNAME is "" where the chunk has none. Other items are passed over."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Nack:
    """RFC 4585, 6.2.1: the 16-bit seqs of `media_ssrc` that are missing, in the order of the message."""

    sender_ssrc: int
    media_ssrc: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """PLI (RFC 4585, 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """FIR (RFC 5104, 4.3.1): (SSRC, command number) of each entry."""

    sender_ssrc: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ReceiverEstimate:
    """REMB (draft-alvestrand-rmcat-remb-03): `bitrate` in bits/s for the sum of `ssrcs`."""

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Any other packet. `count` is the header's five-bit field; `body` follows the four-byte header."""

    packet_type: int
    count: int
    body: bytes


Packet = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | Nack
    | PictureLoss
    | FullIntraRequest
    | ReceiverEstimate
    | TransportFeedback
    | Unknown
)


def parse(data: bytes) -> list[Packet]:
    """Return the packets of an RTCP datagram, one or more; raises ValueError."""
    raise NotImplementedError


def serialize(packets: Iterable[Packet]) -> bytes:
    """Return one datagram of the packets in order; ValueError when a field does not fit."""
    raise NotImplementedError
