"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1).

A message about more than 8192 packets is refused, since otherwise a few run-length chunks of "not received" would make
a small datagram expensive.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

TICK_NS = 250_000
REFERENCE_NS = 64_000_000
MAX_PACKETS = 8192

_FIXED = struct.Struct("!IIHH3sB")
_LOST, _SMALL, _LARGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """Arrivals of packets from `base_seq` on, with their times.

    `deltas[i]` is that of transport-wide seq `base_seq + i` (mod 2**16): None if it did not arrive, else its arrival in
    ticks of 250 µs after the previous arrival, or for the first after `reference_time` (signed 24-bit, units of 64 ms).
    There are 1 to `MAX_PACKETS` deltas; each fits into signed 16 bits.
    """

    sender_ssrc: int
    media_ssrc: int
    base_seq: int
    reference_time: int
    feedback_count: int
    deltas: tuple[int | None, ...]

    def arrivals(self) -> Iterator[tuple[int, int | None]]:
        """Yield (16-bit seq, arrival in ns on the reporter's reference clock, or None)."""
        time = self.reference_time * REFERENCE_NS
        for index, delta in enumerate(self.deltas):
            if delta is not None:
                time += delta * TICK_NS
            yield (self.base_seq + index) & 0xFFFF, None if delta is None else time


def parse_body(body: bytes) -> TransportFeedback:
    """Parse the bytes after the four-byte RTCP header, without padding; raises ValueError."""
    if len(body) < _FIXED.size:
        raise ValueError("transport feedback is truncated")
    sender_ssrc, media_ssrc, base_seq, count, reference, feedback_count = _FIXED.unpack_from(body)
    if not 0 < count <= MAX_PACKETS:
        raise ValueError("transport feedback is about no packets or too many")
    symbols, offset = _parse_chunks(body, count)
    deltas = _parse_deltas(body, offset, symbols)
    return TransportFeedback(
        sender_ssrc,
        media_ssrc,
        base_seq,
        int.from_bytes(reference, "big", signed=True),
        feedback_count,
        deltas,
    )


def _parse_deltas(body: bytes, offset: int, symbols: list[int]) -> tuple[int | None, ...]:
    if symbols.count(_SMALL) == len(symbols):  # the usual message, which every subscriber sends all the time
        if offset + len(symbols) > len(body):
            raise ValueError("transport feedback lacks receive deltas")
        return tuple(body[offset : offset + len(symbols)])
    deltas: list[int | None] = []
    for symbol in symbols:
        size = symbol if symbol in (_SMALL, _LARGE) else 0
        if offset + size > len(body):
            raise ValueError("transport feedback lacks receive deltas")
        if symbol == _LOST:
            deltas.append(None)
        else:
            deltas.append(int.from_bytes(body[offset : offset + size], "big", signed=symbol == _LARGE))
        offset += size
    return tuple(deltas)


def _parse_chunks(body: bytes, count: int) -> tuple[list[int], int]:
    """Return `count` symbols and the offset of the receive deltas."""
    symbols: list[int] = []
    offset = _FIXED.size
    while len(symbols) < count:
        if offset + 2 > len(body):
            raise ValueError("transport feedback lacks status chunks")
        chunk = body[offset] << 8 | body[offset + 1]
        offset += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13] * min(chunk & 0x1FFF, count - len(symbols))
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    del symbols[count:]
    if 3 in symbols:
        raise ValueError("transport feedback uses a reserved symbol")
    return symbols, offset


def write_body(feedback: TransportFeedback) -> tuple[bytes, int]:
    """Return the bytes after the RTCP header, in complete words, and the number of padding bytes at the end.

    Raises ValueError if a field does not fit.
    """
    if not 0 < len(feedback.deltas) <= MAX_PACKETS:
        raise ValueError("transport feedback is about no packets or too many")
    symbols = bytearray()
    deltas = bytearray()
    try:
        for delta in feedback.deltas:
            if delta is None:
                symbols.append(_LOST)
            elif 0 <= delta <= 255:
                symbols.append(_SMALL)
                deltas.append(delta)
            else:
                symbols.append(_LARGE)
                deltas += delta.to_bytes(2, "big", signed=True)
        body = _FIXED.pack(
            feedback.sender_ssrc,
            feedback.media_ssrc,
            feedback.base_seq,
            len(symbols),
            feedback.reference_time.to_bytes(3, "big", signed=True),
            feedback.feedback_count,
        )
    except (struct.error, OverflowError) as error:
        raise ValueError("transport feedback field does not fit") from error
    body += _write_chunks(bytes(symbols)) + deltas
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    return body, padding


def _write_chunks(symbols: bytes) -> bytes:
    """Return status chunks: runs where they are shorter, else vectors of 14 one-bit or 7 two-bit symbols."""
    chunks = bytearray()
    offset = 0
    while offset < len(symbols):
        symbol = symbols[offset]
        run = _run_length(symbols, offset)
        following = symbols[offset : offset + 14]
        width = 7 if _LARGE in following else 14
        if run >= width or offset + run == len(symbols):
            chunk = symbol << 13 | run
            offset += run
        else:
            bits = 14 // width
            chunk = 0x8000 if width == 14 else 0xC000
            for index, value in enumerate(following[:width]):
                chunk |= value << (14 - bits - bits * index)
            offset += min(width, len(following))
        chunks += chunk.to_bytes(2, "big")
    return bytes(chunks)


def _run_length(symbols: bytes, offset: int) -> int:
    symbol = symbols[offset]
    end = offset + 1
    limit = min(len(symbols), offset + 0x1FFF)
    while end < limit and symbols[end] == symbol:
        end += 1
    return end - offset
