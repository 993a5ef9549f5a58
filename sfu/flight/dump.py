"""A flight recorder's content as a file (a line of JSON, then the raw entries), and as readable lines.

A busy node writes it, so this costs only a copy; formatting is left to the reader. `replay` runs the same entries
through the state machines again.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from sfu.flight import noted_estimator
from sfu.flight.recorder import Entry, FlightRecorder, Kind, entries
from sfu.formats import rtcp

FORMAT = 1


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="parley", tag="flight"):
    """The first line. `at` is the time of the dump in Unix ms, `monotonic_ms` the same instant on the entries' clock.

    Entries before `complete_since_ms` (on the entries' clock) may be missing; 0 if none is.
    """

    format: int
    room: str
    node: str
    reason: str
    at: int
    monotonic_ms: float
    complete_since_ms: float


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A readable entry. `data` is the message or decision; for RTCP it is the parsed packets, and `hex` the raw
    ones.
    """

    ms: float
    kind: str
    who: str = ""
    data: Any = None
    hex: str = ""


def write(flight: FlightRecorder, *, room: str, node: str, reason: str, now: int, unix_ms: int) -> bytes:
    """Return a dump."""
    header = Header(
        format=FORMAT,
        room=room,
        node=node,
        reason=reason,
        at=unix_ms,
        monotonic_ms=now / 1e6,
        complete_since_ms=flight.forgotten_before / 1e6,
    )
    return msgspec.json.encode(header) + b"\n" + flight.raw()


def read(dump: bytes) -> tuple[Header, list[Entry]]:
    """Return the header and entries of a dump; raises ValueError."""
    first, newline, raw = dump.partition(b"\n")
    if not newline:
        raise ValueError("not a flight recorder's dump")
    header = msgspec.json.decode(first, type=Header)
    if header.format != FORMAT:
        raise ValueError(f"a dump of format {header.format}; this version reads {FORMAT}")
    return header, list(entries(raw))


def lines(dump: bytes) -> Iterator[bytes]:
    """Yield a dump as JSON lines, each with its newline; raises ValueError."""
    header, kept = read(dump)
    yield msgspec.json.encode(header) + b"\n"
    for entry in kept:
        yield msgspec.json.encode(_line(entry)) + b"\n"


def _line(entry: Entry) -> Line:
    ms, kind = entry.at / 1e6, entry.kind.name.lower()
    if entry.kind is Kind.ESTIMATOR:
        return Line(ms=ms, kind=kind, who=entry.who, data=msgspec.to_builtins(noted_estimator.read(entry.data)))
    if entry.kind is not Kind.RTCP:
        return Line(ms=ms, kind=kind, who=entry.who, data=msgspec.json.decode(entry.data))
    try:
        packets: Any = [f"{packet}" for packet in rtcp.parse(entry.data)]
    except ValueError as error:
        packets = f"malformed: {error}"
    return Line(ms=ms, kind=kind, who=entry.who, data=packets, hex=entry.data.hex())
