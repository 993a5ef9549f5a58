"""Packets that a receiver requests again: their retransmission was lost as well, so the next one is sent twice.

On a link with random loss, each lost retransmission costs a round trip, and three in a row are a visible freeze. On a
full link requests are repeated because retransmissions are late, and copies would add to the overload.
"""

_REMEMBERED = 256
_LASTS_NS = 1_000_000_000


class RepeatedNacks:
    """The answered requests of one outgoing stream."""

    def __init__(self) -> None:
        self._answered: dict[int, int] = {}  # time of the last answer by seq, oldest first

    def answer(self, seqs: list[int], round_trip: int, now: int) -> tuple[list[int], list[int]]:
        """Note that `seqs` are answered. Return those that are requested for the first time, and those whose last
        answer, at least a round trip ago, was lost.
        """
        first: list[int] = []
        again: list[int] = []
        for seq in seqs:
            at = self._answered.get(seq)
            if at is not None and now - at < round_trip:
                continue
            (again if at is not None and now - at < _LASTS_NS else first).append(seq)
            self._answered.pop(seq, None)
            self._answered[seq] = now
        while len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]
        return first, again
