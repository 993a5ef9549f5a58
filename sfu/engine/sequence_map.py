"""Mapping of packets to a route's sequence numbers: from (stream, ext_seq) to out_seq and back.

Numbering is run-length encoded. A segment maps a range of one stream's ext_seq by a constant difference, under one
rewrite. A position that is known to be padding or filtered ends a segment, and the next one continues without a gap. A
missing packet keeps its number, since it may be repaired. Late packets and NACKs are looked up too, so that each is
rewritten like its neighbours. Out seqs are 64-bit: SRTP's rollover counter and the seq on the wire.
"""

from bisect import bisect_right
from typing import Generic, NamedTuple, TypeVar

Source = TypeVar("Source")

HORIZON = 2048
"""The number of out seqs that are remembered."""
MAX_SEGMENTS = 512
MAX_GAP = 1024
"""A longer gap in a stream counts as a restart; one number is left out for it, so that receivers notice."""
_OPEN_END = 1 << 62


class Rewrite(NamedTuple):
    """Changes to packets of a segment: all offsets are added, modulo the size of their field.

    `picture_offset` also applies to AV1's frame numbers.
    Layers above `max_temporal` and `max_spatial` are not carried.
    """

    timestamp_offset: int = 0
    picture_offset: int = 0
    tl0_offset: int = 0
    max_temporal: int = 255
    max_spatial: int = 255


class Segment(Generic[Source]):
    """A range: ext_seqs in [first_ext, end_ext) of `stream` are numbered from first_out on."""

    __slots__ = ("end_ext", "first_ext", "first_out", "rewrite", "stream")

    def __init__(self, stream: Source, first_ext: int, first_out: int, rewrite: Rewrite) -> None:
        self.stream = stream
        self.first_ext = first_ext
        self.end_ext = _OPEN_END
        self.first_out = first_out
        self.rewrite = rewrite


class SequenceMap(Generic[Source]):
    """The numbering of one route. `segment` is the open segment, `next_ext` the stream position that it expects."""

    __slots__ = ("_closed", "_next_out", "next_ext", "segment")

    def __init__(self, first_out: int) -> None:
        self._closed: list[Segment[Source]] = []
        self._next_out = first_out
        self.next_ext = 0
        self.segment: Segment[Source] | None = None

    @property
    def next_out(self) -> int:
        """The next unused out seq."""
        segment = self.segment
        return self._next_out if segment is None else segment.first_out + self.next_ext - segment.first_ext

    def start(self, stream: Source, ext_seq: int, rewrite: Rewrite) -> Segment[Source]:
        """Continue with `stream` from `ext_seq`, which takes the next out seq."""
        self.stop()
        self.segment = Segment(stream, ext_seq, self._next_out, rewrite)
        self.next_ext = ext_seq
        return self.segment

    def stop(self) -> None:
        """Close the open segment."""
        segment = self.segment
        if segment is not None:
            self._next_out = self.next_out
            self.segment = None
            self._close(segment, self.next_ext)

    def change(self, rewrite: Rewrite) -> Segment[Source]:
        """Use another rewrite from `next_ext` on; the numbering continues."""
        assert self.segment is not None
        return self.start(self.segment.stream, self.next_ext, rewrite)

    def place(self, ext_seq: int, *, closes: bool = False) -> tuple[Segment[Source], int]:
        """Return the segment and out seq of the packet at `ext_seq`, which must not be before `next_ext`.

        `closes`: packets missing before it will never arrive; one number is left out for all of them.
        """
        segment = self.segment
        assert segment is not None
        assert ext_seq >= self.next_ext
        if ext_seq - self.next_ext > MAX_GAP or (closes and ext_seq > self.next_ext):
            self.stop()
            self._next_out += 1
            segment = self.start(segment.stream, ext_seq, segment.rewrite)
        self.next_ext = ext_seq + 1
        return segment, segment.first_out + ext_seq - segment.first_ext

    def skip(self, ext_seq: int, *, whole_gap: bool = False) -> None:
        """Skip `ext_seq`, which must not be before `next_ext`; with `whole_gap` also skip the packets missing before
        it.
        """
        segment = self.segment
        assert segment is not None
        if not whole_gap:
            self.next_ext = ext_seq if ext_seq - self.next_ext <= MAX_GAP else self.next_ext
        if self.next_ext == segment.first_ext:
            segment.first_ext = ext_seq + 1
            self.next_ext = ext_seq + 1
        else:
            self.start(segment.stream, ext_seq + 1, segment.rewrite)

    def rewind(self, newest: int) -> None:
        """Forget the numbers after `newest`, under which nothing was sent. No segment may be open.

        All but the first are reused; the number that is left out makes receivers notice.
        """
        closed = self._closed
        while closed and closed[-1].first_out > newest:
            closed.pop()
        if closed:
            last = closed[-1]
            last.end_ext = min(last.end_ext, last.first_ext + newest + 1 - last.first_out)
        self._next_out = newest + 2

    def renumber(self, first_out: int) -> None:
        """Forget all sent packets and continue from `first_out`."""
        segment = self.segment
        self._closed.clear()
        self.segment = None
        self._next_out = first_out
        if segment is not None:
            self.start(segment.stream, self.next_ext, segment.rewrite)

    def find(self, stream: Source, ext_seq: int) -> Segment[Source] | None:
        """Return the segment in which a past packet has its number."""
        segment = self.segment
        if segment is not None and segment.stream is stream and segment.first_ext <= ext_seq < self.next_ext:
            return segment
        for segment in reversed(self._closed):
            if segment.stream is stream and segment.first_ext <= ext_seq < segment.end_ext:
                return segment
        return None

    def find_out(self, out_seq: int) -> Segment[Source] | None:
        """Return the segment that holds an out seq; None if it is unknown, forgotten or not used yet."""
        segment = self.segment
        if segment is not None and out_seq >= segment.first_out:
            return segment if out_seq < self.next_out else None
        at = bisect_right(self._closed, out_seq, key=_first_out)
        if at == 0:
            return None
        segment = self._closed[at - 1]
        return segment if out_seq < segment.first_out + segment.end_ext - segment.first_ext else None

    def carried(self, stream: Source) -> int:
        """Return the end of the remembered numbers of `stream`, -1 if there are none."""
        segment = self.segment
        if segment is not None and segment.stream is stream:
            return self.next_ext
        return max((segment.end_ext for segment in self._closed if segment.stream is stream), default=-1)

    def _close(self, segment: Segment[Source], end_ext: int) -> None:
        segment.end_ext = end_ext
        closed = self._closed
        if end_ext > segment.first_ext:
            closed.append(segment)
        horizon = self._next_out - HORIZON
        forgotten = max(0, len(closed) - MAX_SEGMENTS)
        while forgotten < len(closed):
            oldest = closed[forgotten]
            if oldest.first_out + oldest.end_ext - oldest.first_ext > horizon:
                break
            forgotten += 1
        if forgotten:
            del closed[:forgotten]


def _first_out(segment: Segment[Source]) -> int:
    return segment.first_out
