"""Layout of an outgoing packet's header extensions (RFC 8285).

A layout consists of a peer's extension ids and playout delay, and a route's mid. Our extensions come first, so that
their places are fixed: abs-send-time and the transport-wide seq, stamped in send order, then the mid. Extensions passed
from the publisher follow in the order of `packet.PASSED`; all others are left out. Routes that agree share a layout,
and with it each packet's bytes.
"""

import struct
from collections.abc import Mapping

from sfu.engine.packet import PASSED, Packet
from sfu.formats.extensions import Extension

_ONE_BYTE = 0xBEDE
_TWO_BYTE = 0x1000
_FIXED = struct.Struct("!BBHII")
_WITH_BLOCK = struct.Struct("!BBHIIHH")
# The fixed header, the block's header, abs-send-time with its id, the transport-wide seq's id and value.
pack_stamped = struct.Struct("!BBHIIHHIBH").pack


class Layout:
    """`is_usual`: both stamps, and ids of the one-byte form; then `pack_stamped` and `tail` build the header."""

    __slots__ = (
        "__weakref__",
        "_mid",
        "_passed",
        "_playout_delay",
        "_send_time",
        "_transport",
        "is_usual",
        "send_time_word",
        "seq_tag",
    )

    def __init__(self, extensions: Mapping[Extension, int], mid: str, playout_delay: bytes = b"") -> None:
        """`playout_delay` is the least value of that extension, empty for none."""
        self._send_time = extensions.get(Extension.ABS_SEND_TIME, 0)
        self._transport = extensions.get(Extension.TRANSPORT_SEQ, 0)
        self._mid = (extensions.get(Extension.MID, 0), mid.encode("ascii"))
        self._passed = tuple((name, extensions[name]) for name in PASSED if name in extensions)
        self._playout_delay = playout_delay
        self.is_usual = 0 < self._send_time < 15 and 0 < self._transport < 15
        self.send_time_word = self._send_time << 28 | 2 << 24
        self.seq_tag = self._transport << 4 | 1

    @property
    def stamps_transport_seq(self) -> bool:
        return self._transport > 0

    def tail(self, packet: Packet, frame_offset: int) -> tuple[int, bytes] | None:
        """Return (words of the block, bytes after the stamps); None if the packet needs the two-byte form.

        For a usual layout only.
        """
        known = packet.tails.get((self, frame_offset))
        if known is None:
            rest = self._rest(packet, frame_offset)
            known = (0, b"")
            if _fits_one_byte(rest):
                body = _one_byte(rest)
                body += bytes(-(len(body) + 7) % 4)
                known = ((len(body) + 7) // 4, body)
            packet.tails[self, frame_offset] = known
        return known if known[0] else None

    def header(
        self, packet: Packet, fixed: tuple[int, int, int, int], stamps: tuple[int, int], frame_offset: int
    ) -> bytes:
        """Return a header: marker and payload type, seq, timestamp, SSRC; abs-send-time and transport-wide seq."""
        elements = []
        if self._send_time:
            elements.append((self._send_time, stamps[0].to_bytes(3, "big")))
        if self._transport:
            elements.append((self._transport, stamps[1].to_bytes(2, "big")))
        elements += self._rest(packet, frame_offset)
        first = 0xA0 if packet.equalising else 0x80
        if not elements:
            return _FIXED.pack(first, *fixed)
        one_byte = _fits_one_byte(elements)
        body = _one_byte(elements) if one_byte else _two_byte(elements)
        body += bytes(-len(body) % 4)
        profile = _ONE_BYTE if one_byte else _TWO_BYTE
        return _WITH_BLOCK.pack(first | 0x10, *fixed, profile, len(body) // 4) + body

    def _rest(self, packet: Packet, frame_offset: int) -> list[tuple[int, bytes]]:
        """Return the extensions without the stamps."""
        elements = []
        if self._mid[0] and self._mid[1]:
            elements.append(self._mid)
        passed = packet.passed_moved(frame_offset)
        for name, identifier in self._passed:
            value = passed.get(name)
            if name is Extension.PLAYOUT_DELAY and value is None:
                value = self._delay_of(packet)
            if value is not None:
                elements.append((identifier, value))
        return elements

    def _delay_of(self, packet: Packet) -> bytes | None:
        """Return our playout delay of a packet without its publisher's own, None for none."""
        return (max(packet.playout_delay, self._playout_delay) or None) if packet.payload else None


def _fits_one_byte(elements: list[tuple[int, bytes]]) -> bool:
    return all(identifier < 15 and len(value) <= 16 for identifier, value in elements)


def _one_byte(elements: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([identifier << 4 | len(value) - 1]) + value for identifier, value in elements)


def _two_byte(elements: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([identifier, len(value)]) + value for identifier, value in elements)
