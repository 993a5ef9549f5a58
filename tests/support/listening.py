"""Perception of a link, by when packets came: sound that was made up, and pictures that froze.

As libwebrtc does it: its buffer of sound (NetEQ) waits 20 ms more where that spares a packet in a hundred, and a freeze
is a gap of 150 ms more than usual.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

MS = 1_000_000
_PACKET_NS = 20 * MS
_REMEMBERED = 500
_LONGEST = 30  # packets
_FREEZE_NS = 150 * MS


def concealed(arrivals: Mapping[int, int], first: int, last: int) -> float:
    """Return the share of the packets of sound from number `first` to `last` that came too late or never.

    Packet n was made at n × 20 ms, of any clock.
    """
    least = min(at - number * _PACKET_NS for number, at in arrivals.items())
    waits: list[int] = []  # of the packets before, in packets; _LONGEST for never
    missing = 0
    for number in range(first - _REMEMBERED, last + 1):
        waited = _LONGEST
        if number in arrivals:
            waited = min(-(-(arrivals[number] - number * _PACKET_NS - least) // _PACKET_NS), _LONGEST)
        missing += number >= first and waited > _length(waits[-_REMEMBERED:])
        waits.append(waited)
    return missing / (last - first + 1)


def _length(waits: Sequence[int]) -> int:
    """Return the length of the buffer, in packets."""
    share = 100 / max(len(waits), 1)
    return min(range(1, _LONGEST), key=lambda length: length + share * sum(wait > length for wait in waits))


def frozen(pictures: Sequence[int], begin: int, end: int) -> float:
    """Return the share of the time from `begin` to `end` in which the picture stood still for longer than it seems."""
    shown = [begin, *(at for at in pictures if begin <= at <= end), end]
    if len(shown) == 2:
        return 1.0
    usual = (end - begin) / max(len(shown) - 1, 1)
    gaps = [after - before for before, after in pairwise(shown)]
    return sum(gap for gap in gaps if gap > max(3 * usual, usual + _FREEZE_NS)) / (end - begin)
