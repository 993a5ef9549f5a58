"""Sequence numbers of a stream with split packets: each part has its own number, and later numbers are shifted."""

from collections import deque

from sfu.formats.unwrap import Unwrapper

_REMEMBERED = 1024


class SplitNumbers:
    """Maps numbers in both directions. Packets out of order are mapped correctly within the range of the newest
    splits.
    """

    def __init__(self) -> None:
        self._unwrapper = Unwrapper(16)
        self._splits: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)  # (extended number, parts beyond the first)
        self._shift = 0

    @property
    def newest(self) -> int:
        """The extended sequence number of the newest packet, modulo 2**32, as the sender knows it."""
        return (self._unwrapper.newest or 0) & 0xFFFFFFFF

    def number(self, seq: int, parts: int) -> int | None:
        """Return the number of the first of `parts` packets, 16 bits.

        Returns None if there is no room for them, since the packet is late and later packets have taken the numbers.
        There is always room for one part, unless the packet is much too late.
        """
        newest = self._unwrapper.newest
        ext_seq = self._unwrapper.unwrap(seq)
        if newest is None or ext_seq > newest:
            shift = self._shift
            if parts > 1:
                self._splits.append((ext_seq, parts - 1))
                self._shift += parts - 1
            return (ext_seq + shift) & 0xFFFF
        if len(self._splits) == _REMEMBERED and ext_seq < self._splits[0][0]:
            return None
        shift, extra = self._at(ext_seq)
        return (ext_seq + shift) & 0xFFFF if parts in (1, extra + 1) else None

    def original(self, number: int) -> int:
        """Return the sender's sequence number, 16 bits, of the packet that has, or would have, this number."""
        newest = (self._unwrapper.newest or 0) + self._shift
        ext_number = newest + ((number - newest + 0x8000) & 0xFFFF) - 0x8000
        shift = self._shift
        for ext_seq, extra in reversed(self._splits):
            if ext_number > ext_seq + shift:
                break
            shift -= extra
            if ext_number >= ext_seq + shift:
                return ext_seq & 0xFFFF
        return (ext_number - shift) & 0xFFFF

    def _at(self, ext_seq: int) -> tuple[int, int]:
        """Return the shift of a packet's number, and the number of its parts beyond the first."""
        shift = self._shift
        for split, extra in reversed(self._splits):
            if split < ext_seq:
                break
            shift -= extra
            if split == ext_seq:
                return shift, extra
        return shift, 0
