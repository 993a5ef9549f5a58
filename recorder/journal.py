"""A segment's journal: one line per event, each with a CRC, appended immediately and never changed.

A frame's line is written before the frame, so the k-th block of the file is the journal's k-th frame, and the journal
identifies the packets in a file that a kill cut short. A line is eight hex digits of CRC-32 (of the text after the
space), a space, a letter, and the fields; the first line is the head, as JSON. Reading stops at the first line with a
wrong CRC. Frames are written as differences from the previous frame, to keep audio journals small:

    f {first ext_seq - last of the frame before} {last - first} {timestamp difference} [{offset of a video keyframe}]
    r {rtp timestamp, 32 bits} {NTP, 64 bits} {arrival}      sender report (RFC 3550, section 6.4.1)
    a {rtp timestamp, unwrapped} {arrival}                   arrival of a frame: the clock of a stream without reports
    l {first ext_seq} {packets} {reason}                     packets of frames that were never complete
    m {0 or 1} {at}                                          muted
    e {reason}                                               the sfu closed the stream: what follows is not a gap
    x {sentence}                                             received media could not be saved
    c {frames} {bytes} {sha256}                              the segment is closed; always the last line
"""

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

VERSION = 1


class JournalHead(msgspec.Struct, frozen=True, kw_only=True):
    """Description of a segment. `first_ext_seq` and `timestamp` are its first frame's; frame lines count from them.

    `lifetime` distinguishes the lives of a room on the sfu: (lifetime, ssrc, ext_seq) identifies a packet for good.
    `continues` is set when the segment begins without a keyframe, where an earlier one of the same stream ended.
    """

    version: int
    recording: str
    room: str
    participant: str
    name: str
    track: str
    source: str
    media: str
    codec: str
    clock_rate: int
    channels: int
    ssrc: int
    lifetime: int
    opened_unix_ms: int
    epoch: int
    n: int
    first_ext_seq: int
    timestamp: int
    arrival: int
    file: str
    header_bytes: int
    width: int = 0
    height: int = 0
    muted: bool = False
    continues: bool = False


class FrameLine(NamedTuple):
    """A frame of the segment. `offset` is where a video keyframe begins in the file, -1 for other frames."""

    first_ext_seq: int
    last_ext_seq: int
    timestamp: int
    offset: int


class ReportLine(NamedTuple):
    rtp_timestamp: int
    ntp: int
    arrival: int


class AnchorLine(NamedTuple):
    timestamp: int
    arrival: int


class LossLine(NamedTuple):
    first_ext_seq: int
    packets: int
    reason: str


class MuteLine(NamedTuple):
    muted: bool
    at: int


class EndedLine(NamedTuple):
    reason: str


class ProblemLine(NamedTuple):
    sentence: str


class ClosedLine(NamedTuple):
    frames: int
    bytes: int
    sha256: str


Line = FrameLine | ReportLine | AnchorLine | LossLine | MuteLine | EndedLine | ProblemLine | ClosedLine


class JournalWriter:
    """Encodes lines; keeps the values to which differences refer."""

    def __init__(self, head: JournalHead) -> None:
        self._head = head
        self._last_ext_seq = head.first_ext_seq - 1
        self._timestamp = head.timestamp

    def head(self) -> bytes:
        """Return the first line."""
        return _sealed(b"h " + msgspec.json.encode(self._head))

    def line(self, line: Line) -> bytes:
        """Return a line other than the first."""
        match line:
            case FrameLine(first, last, timestamp, offset):
                text = f"f {first - self._last_ext_seq} {last - first} {timestamp - self._timestamp}"
                self._last_ext_seq, self._timestamp = last, timestamp
                text += "" if offset < 0 else f" {offset}"
            case ReportLine():
                text = f"r {line.rtp_timestamp} {line.ntp} {line.arrival}"
            case AnchorLine():
                text = f"a {line.timestamp} {line.arrival}"
            case LossLine():
                text = f"l {line.first_ext_seq} {line.packets} {line.reason}"
            case MuteLine():
                text = f"m {int(line.muted)} {line.at}"
            case EndedLine(sentence) | ProblemLine(sentence):
                text = f"{'e' if isinstance(line, EndedLine) else 'x'} {' '.join(sentence.split())}"
            case ClosedLine():
                text = f"c {line.frames} {line.bytes} {line.sha256}"
        return _sealed(text.encode())


class Journal(NamedTuple):
    """The valid part of a journal. `whole_bytes` is its length."""

    head: JournalHead
    lines: list[Line]
    whole_bytes: int

    @property
    def closed(self) -> ClosedLine | None:
        """The closing line, if the segment was closed."""
        last = self.lines[-1] if self.lines else None
        return last if isinstance(last, ClosedLine) else None

    def frames(self) -> list[FrameLine]:
        """The frame lines in order."""
        return [line for line in self.lines if isinstance(line, FrameLine)]


def read_head(line: bytes) -> JournalHead:
    """Return the head from a journal's first line, newline included; raises ValueError for anything else."""
    text = _checked(line)
    if text is None or text[:2] != b"h ":
        raise ValueError("journal without a head")
    head = msgspec.json.decode(text[2:], type=JournalHead)
    if head.version != VERSION:
        raise ValueError(f"journal of version {head.version}")
    return head


def read_journal(data: bytes) -> Journal:
    """Return all lines up to the first invalid one; raises ValueError if there is no head."""
    lines = iter(data.splitlines(keepends=True))
    first = next(lines, b"")
    head = read_head(first)
    parsed: list[Line] = []
    whole = len(first)
    for line, size in _lines(head, lines):
        parsed.append(line)
        whole += size
    return Journal(head, parsed, whole)


def read_closing_line(tail: bytes) -> ClosedLine | None:
    """Return the closing line from the end of a journal, None if it was not closed."""
    text = _checked(tail[tail[:-1].rfind(b"\n") + 1 :])
    if text is None or text[:2] != b"c ":
        return None
    try:
        line = _parse(text.decode(), 0, 0)
    except (ValueError, IndexError):
        return None
    return line if isinstance(line, ClosedLine) else None


def _lines(head: JournalHead, raw: Iterator[bytes]) -> Iterator[tuple[Line, int]]:
    last_ext_seq, timestamp = head.first_ext_seq - 1, head.timestamp
    for line in raw:
        text = _checked(line)
        if text is None:
            return
        try:
            parsed = _parse(text.decode(), last_ext_seq, timestamp)
        except (ValueError, IndexError):
            return
        if isinstance(parsed, FrameLine):
            last_ext_seq, timestamp = parsed.last_ext_seq, parsed.timestamp
        yield parsed, len(line)


_PARSERS: dict[str, Callable[[list[str]], Line]] = {
    "r": lambda f: ReportLine(int(f[0]), int(f[1]), int(f[2])),
    "a": lambda f: AnchorLine(int(f[0]), int(f[1])),
    "l": lambda f: LossLine(int(f[0]), int(f[1]), f[2]),
    "m": lambda f: MuteLine(f[0] == "1", int(f[1])),
    "e": lambda f: EndedLine(" ".join(f)),
    "x": lambda f: ProblemLine(" ".join(f)),
    "c": lambda f: ClosedLine(int(f[0]), int(f[1]), f[2]),
}


def _parse(text: str, last_ext_seq: int, timestamp: int) -> Line:
    kind, *fields = text.split(" ")
    if kind == "f":
        first = last_ext_seq + int(fields[0])
        offset = int(fields[3]) if len(fields) > 3 else -1
        return FrameLine(first, first + int(fields[1]), timestamp + int(fields[2]), offset)
    if kind not in _PARSERS:
        raise ValueError(f"unknown journal line {kind!r}")
    return _PARSERS[kind](fields)


def _sealed(text: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _checked(line: bytes) -> bytes | None:
    """Return a line's text if it is complete and its CRC is correct."""
    if len(line) < 10 or not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    text = line[9:-1]
    return text if line[:8] == b"%08x" % zlib.crc32(text) else None
