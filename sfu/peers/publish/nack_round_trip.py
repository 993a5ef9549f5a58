"""The time from our NACK to the retransmission, as the round trip that paces NACKs to a publisher.

An sfu sends a publisher no media, and so no sender reports from whose answers a round trip could be computed. A packet
requested twice is not a sample (Karn's algorithm), since it is unknown which request was answered.
"""

from collections.abc import Iterable

_INITIAL_NS = 100_000_000
_MAX_ASKED = 256


class NackRoundTrip:
    """The round trip of one publish peer; packets are identified by (stream, ext_seq)."""

    def __init__(self) -> None:
        self._asked: dict[tuple[int, int], int | None] = {}
        self._smoothed: float | None = None

    @property
    def smoothed(self) -> int:
        """The smoothed time in ns; 100 ms before the first sample."""
        return _INITIAL_NS if self._smoothed is None else int(self._smoothed)

    def asked(self, stream: int, ext_seqs: Iterable[int], now: int) -> None:
        """Note that these packets are requested now."""
        for ext_seq in ext_seqs:
            key = (stream, ext_seq)
            self._asked[key] = None if key in self._asked else now
        while len(self._asked) > _MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def retransmitted(self, stream: int, ext_seq: int, arrival: int) -> None:
        """Take a retransmission of this packet as a sample."""
        at = self._asked.pop((stream, ext_seq), None)
        if at is not None and arrival > at:
            sample = float(arrival - at)
            self._smoothed = sample if self._smoothed is None else self._smoothed + (sample - self._smoothed) / 8
