"""Parts of compound RTCP packets (RFC 3550, section 6.1) that the engine handles without policy."""

from sfu.formats import rtcp
from sfu.formats.transport_feedback import TransportFeedback

_NAMES = 202  # RTCP packet types (RFC 3550, section 12.1)
_EMPTY_REPORT = bytes([0x80, 201])


def packets_of(compound: bytes) -> list[bytes] | None:
    """Split a compound packet; return None if its lengths do not fit."""
    packets = []
    offset = 0
    while offset < len(compound):
        if len(compound) - offset < 4 or compound[offset] >> 6 != 2:
            return None
        end = offset + 4 * (int.from_bytes(compound[offset + 2 : offset + 4], "big") + 1)
        packets.append(compound[offset:end])
        offset = end
    return packets if offset == len(compound) else None


def says_something(compound: bytes) -> bool:
    """Return True if a compound packet has more than a sign of life (reports without blocks, and names)."""
    packets = packets_of(compound)
    return packets is None or any(packet[1] != _NAMES and packet[:2] != _EMPTY_REPORT for packet in packets)


def transport_feedback_of(packet: bytes) -> TransportFeedback | None:
    """Return a packet parsed as transport-wide feedback, None for other packets and invalid ones."""
    if packet[1] != 205 or packet[0] & 0x1F != 15:
        return None
    try:
        (feedback,) = rtcp.parse(packet)
    except ValueError:
        return None
    return feedback if isinstance(feedback, TransportFeedback) else None
