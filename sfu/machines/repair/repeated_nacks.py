"""Packets that a receiver asks for again: their retransmission was lost as well, so the next one is sent twice.

On a link that loses packets at random each lost retransmission costs a round trip, and three of them are a visible
freeze. A full link is different: there copies would add to the overload, and requests are repeated because
retransmissions are late.
"""

_REMEMBERED = 256
_LASTS_NS = 1_000_000_000


class RepeatedNacks:
    """One per stream that is sent."""

    def __init__(self) -> None:
        self._answered: dict[int, int] = {}  # seq: when, oldest first

    def again(self, seqs: list[int], round_trip: int, now: int) -> list[int]:
        """Note that `seqs` are answered; return those whose last answer, a round trip ago or more, has not come."""
        again = []
        for seq in seqs:
            at = self._answered.get(seq)
            if at is not None and now - at < round_trip:
                continue
            if at is not None and now - at < _LASTS_NS:
                again.append(seq)
            self._answered.pop(seq, None)
            self._answered[seq] = now
        while len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]
        return again
