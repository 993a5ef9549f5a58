"""The time from our NACK to the retransmission, as the round trip that paces NACKs to a publisher.

An sfu sends a publisher no media, and so no sender reports from whose answers a round trip could be computed. A packet
requested twice is not a sample (Karn's algorithm), since it is unknown which request was answered. But if this happens
several times in a row, the round trip has become longer than our patience: then the answer is to the first request.
"""

from collections.abc import Iterable

_INITIAL_NS = 100_000_000
_MAX_ASKED = 256
_IN_A_ROW = 5


class NackRoundTrip:
    """The round trip of one publish peer; packets are identified by (stream, ext_seq)."""

    def __init__(self) -> None:
        self._asked: dict[tuple[int, int], tuple[int, bool]] = {}  # when first, and whether again
        self._unclear: list[float] = []  # samples in a row, from the first request
        self._smoothed: float | None = None

    @property
    def smoothed(self) -> int:
        """The smoothed time in ns; 100 ms before the first sample."""
        return _INITIAL_NS if self._smoothed is None else int(self._smoothed)

    def asked(self, stream: int, ext_seqs: Iterable[int], now: int) -> None:
        """Note that these packets are requested now."""
        for ext_seq in ext_seqs:
            key = (stream, ext_seq)
            first = self._asked.get(key)
            self._asked[key] = (now, False) if first is None else (first[0], True)
        while len(self._asked) > _MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def retransmitted(self, stream: int, ext_seq: int, arrival: int) -> None:
        """Take a retransmission of this packet as a sample."""
        at, is_repeated = self._asked.pop((stream, ext_seq), (arrival, False))
        if arrival <= at:
            return
        sample = float(arrival - at)
        if is_repeated:
            self._unclear.append(sample)
            if len(self._unclear) == _IN_A_ROW:
                self._smoothed = min(self._unclear)
                self._unclear.clear()
            return
        self._unclear.clear()
        self._smoothed = sample if self._smoothed is None else self._smoothed + (sample - self._smoothed) / 8
