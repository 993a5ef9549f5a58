"""A room's last minute in bounded memory: signaling, RTCP and decisions, no media. `dump` makes it readable.

Entries are bytes in segments of a second: adding one is an append, and dropping a segment copies nothing.
"""

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

SPAN_NS = 60_000_000_000
MAX_BYTES = 2 * 1024 * 1024
_SEGMENT_NS = 1_000_000_000
_SEGMENT_BYTES = 64 * 1024
_HEADER = Struct("<qBBI")  # time in ns, kind, length of the name, length of the data
_MAX_NAME = 255


class Kind(IntEnum):
    """The kind of an entry's data."""

    CLIENT_SAID = 1
    """JSON of a signaling message from the participant."""
    SERVER_SAID = 2
    """JSON of a signaling message to the participant, or to several participants at once."""
    RTCP = 3
    """A compound RTCP packet from the participant (RFC 3550, section 6), unprotected."""
    ALLOCATION = 4
    """JSON of an allocator's demands and grants (`notes.Allocated`)."""
    DECISION = 5
    """JSON of any other decision: `{"what": ...}`."""
    ESTIMATOR = 6
    """MessagePack of an input of the participant's link estimator (`noted_estimator.EstimatorInput`)."""


class Entry(NamedTuple):
    """An entry. `at` is CLOCK_MONOTONIC in ns, `who` a participant's id, empty for the room's own entries."""

    at: int
    kind: Kind
    who: str
    data: bytes


class FlightRecorder:
    """The recorder of one room. Entries before `forgotten_before` (ns) may be missing; 0 if none is."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.forgotten_before = 0
        self._max_bytes = max_bytes
        self._segments: deque[tuple[int, bytearray]] = deque()
        self._size = 0

    def note(self, at: int, kind: Kind, who: str, data: bytes) -> None:
        """Keep an entry; the oldest are dropped after a minute, or if there is no room."""
        name = who.encode()[:_MAX_NAME]
        if not self._segments or self._segment_is_over(at):
            self._segments.append((at, bytearray()))
            self._forget(at)
        entry = _HEADER.pack(at, kind, len(name), len(data)) + name + data
        self._segments[-1][1].extend(entry)
        self._size += len(entry)

    def of(self, who: str) -> "ParticipantFlight":
        """Return a recorder for entries about one participant."""
        return ParticipantFlight(self, who)

    def raw(self) -> bytes:
        """Return the kept entries in order, in the form that `entries` reads."""
        return b"".join(segment for _, segment in self._segments)

    def _segment_is_over(self, at: int) -> bool:
        begun, segment = self._segments[-1]
        return at - begun >= _SEGMENT_NS or len(segment) >= _SEGMENT_BYTES

    def _forget(self, at: int) -> None:
        while len(self._segments) > 1 and (self._segments[0][0] < at - SPAN_NS or self._size > self._max_bytes):
            self._size -= len(self._segments.popleft()[1])
            self.forgotten_before = self._segments[0][0]


class ParticipantFlight(NamedTuple):
    """The recorder, for one participant."""

    flight: FlightRecorder
    who: str

    def note(self, at: int, kind: Kind, data: bytes) -> None:
        """Keep an entry."""
        self.flight.note(at, kind, self.who, data)


def entries(raw: bytes) -> Iterator[Entry]:
    """Yield the entries of `FlightRecorder.raw`; raises ValueError for anything else."""
    offset = 0
    while offset < len(raw):
        if len(raw) - offset < _HEADER.size:
            raise ValueError("an entry is cut short")
        at, kind, name_length, data_length = _HEADER.unpack_from(raw, offset)
        offset += _HEADER.size
        end = offset + name_length + data_length
        if end > len(raw):
            raise ValueError("an entry is cut short")
        name = raw[offset : offset + name_length].decode(errors="ignore")
        yield Entry(at, Kind(kind), name, raw[offset + name_length : end])
        offset = end
