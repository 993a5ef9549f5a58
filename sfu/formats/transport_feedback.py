"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1)."""

from collections.abc import Iterator
from dataclasses import dataclass

TICK_NS = 250_000
REFERENCE_NS = 64_000_000


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """Which packets from `base_seq` on arrived, and when.

    `deltas[i]` belongs to transport-wide seq `base_seq + i` (mod 2**16): None when it did not arrive, else its arrival
    in ticks of 250 µs after the previous one that did, the first after `reference_time` (signed 24-bit, units of
    64 ms). At least one and at most 65535 deltas; each fits signed 16 bits.
    """

    sender_ssrc: int
    media_ssrc: int
    base_seq: int
    reference_time: int
    feedback_count: int
    deltas: tuple[int | None, ...]

    def arrivals(self) -> Iterator[tuple[int, int | None]]:
        """Yield (16-bit seq, arrival in ns since the zero of the reporter's reference clock, or None)."""
        time = self.reference_time * REFERENCE_NS
        for index, delta in enumerate(self.deltas):
            if delta is not None:
                time += delta * TICK_NS
            yield (self.base_seq + index) & 0xFFFF, None if delta is None else time


def parse_body(body: bytes) -> TransportFeedback:
    """Parse what follows the four-byte RTCP header, padding removed; raises ValueError."""
    raise NotImplementedError


def write_body(feedback: TransportFeedback) -> tuple[bytes, int]:
    """Return what follows the RTCP header, whole words, and how many of its last bytes are padding."""
    raise NotImplementedError
