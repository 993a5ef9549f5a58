"""Bodies of RTCP feedback messages: NACK and PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb-03).

A body consists of the bytes after the four-byte RTCP header, without padding: sender SSRC, media SSRC, control
information.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_SSRCS = struct.Struct("!II")
_PAIR = struct.Struct("!HH")
_FIR_ENTRY = struct.Struct("!IB3x")
_REMB = b"REMB"


@dataclass(frozen=True, slots=True)
class Nack:
    """A NACK (RFC 4585, section 6.2.1): the missing 16-bit seqs of `media_ssrc`, in the order of the message."""

    sender_ssrc: int
    media_ssrc: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """A PLI (RFC 4585, section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """An FIR (RFC 5104, section 4.3.1): (SSRC, command number) of each entry."""

    sender_ssrc: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ReceiverEstimate:
    """A REMB: `bitrate` in bits/s for all `ssrcs` together; written with 18 significant bits, rounded down."""

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]


def split_ssrcs(body: bytes) -> tuple[int, int, bytes]:
    """Return (sender SSRC, media SSRC, control information); raises ValueError."""
    if len(body) < _SSRCS.size:
        raise ValueError("RTCP feedback shorter than its SSRCs")
    sender_ssrc, media_ssrc = _SSRCS.unpack_from(body)
    return sender_ssrc, media_ssrc, body[_SSRCS.size :]


def parse_nack(body: bytes) -> Nack:
    sender_ssrc, media_ssrc, control = split_ssrcs(body)
    if not control or len(control) % _PAIR.size:
        raise ValueError("NACK is not a list of PID and BLP pairs")
    seqs: list[int] = []
    for pid, mask in _PAIR.iter_unpack(control):
        seqs.append(pid)
        seqs.extend((pid + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
    return Nack(sender_ssrc, media_ssrc, tuple(seqs))


def write_nack(nack: Nack) -> bytes:
    return _SSRCS.pack(nack.sender_ssrc, nack.media_ssrc) + b"".join(_PAIR.pack(*pair) for pair in _pairs(nack.seqs))


def _pairs(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Group seqs into (PID, BLP) pairs that expand to the same order; they are compact if the seqs ascend."""
    pairs: list[tuple[int, int]] = []
    previous = 0
    for seq in seqs:
        if pairs:
            pid, mask = pairs[-1]
            distance = (seq - pid) & 0xFFFF
            if previous < distance <= 16:
                pairs[-1] = (pid, mask | 1 << (distance - 1))
                previous = distance
                continue
        pairs.append((seq, 0))
        previous = 0
    if not pairs:
        raise ValueError("NACK names no packet")
    return pairs


def parse_picture_loss(body: bytes) -> PictureLoss:
    sender_ssrc, media_ssrc, _ = split_ssrcs(body)
    return PictureLoss(sender_ssrc, media_ssrc)


def write_picture_loss(message: PictureLoss) -> bytes:
    return _SSRCS.pack(message.sender_ssrc, message.media_ssrc)


def parse_full_intra(body: bytes) -> FullIntraRequest:
    sender_ssrc, _, control = split_ssrcs(body)
    if len(control) % _FIR_ENTRY.size:
        raise ValueError("FIR is not a list of entries")
    return FullIntraRequest(sender_ssrc, tuple((ssrc, seq) for ssrc, seq in _FIR_ENTRY.iter_unpack(control)))


def write_full_intra(message: FullIntraRequest) -> bytes:
    return _SSRCS.pack(message.sender_ssrc, 0) + b"".join(_FIR_ENTRY.pack(*entry) for entry in message.entries)


def is_receiver_estimate(body: bytes) -> bool:
    """Return True if an application layer feedback body is REMB's."""
    return body[8:12] == _REMB


def parse_receiver_estimate(body: bytes) -> ReceiverEstimate:
    sender_ssrc, _, control = split_ssrcs(body)
    if len(control) < 8:
        raise ValueError("REMB shorter than its bitrate")
    count = control[4]
    if len(control) < 8 + 4 * count:
        raise ValueError("REMB declares more SSRCs than it has")
    bits = int.from_bytes(control[5:8], "big")
    ssrcs = struct.unpack_from(f"!{count}I", control, 8)
    return ReceiverEstimate(sender_ssrc, (bits & 0x3FFFF) << (bits >> 18), ssrcs)


def write_receiver_estimate(message: ReceiverEstimate) -> bytes:
    exponent = max(0, message.bitrate.bit_length() - 18)
    if message.bitrate < 0 or exponent > 63 or len(message.ssrcs) > 255:
        raise ValueError("REMB does not fit")
    bits = exponent << 18 | message.bitrate >> exponent
    return (
        _SSRCS.pack(message.sender_ssrc, 0)
        + _REMB
        + bytes([len(message.ssrcs)])
        + bits.to_bytes(3, "big")
        + struct.pack(f"!{len(message.ssrcs)}I", *message.ssrcs)
    )
