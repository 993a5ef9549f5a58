"""Captions as a track of a film: timed text in MP4 (mov_text, 3GPP TS 26.245), WebVTT in WebM (W3C)."""

import html
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import av

from foundation.film_options import Format
from foundation.jobs import Said
from recorder.compose.cuts import Cuts

_CODECS: dict[Format, str] = {"mp4": "mov_text", "webm": "webvtt"}
_TICK = Fraction(1, 1000)
_MOST_BYTES = 60_000
"""A sample of timed text has a length of 16 bits."""


class Cue(NamedTuple):
    """Text that is shown from one time of the film to another, in ms."""

    start_ms: int
    end_ms: int
    text: str


def cues(said: Sequence[Said], cuts: Cuts) -> list[Cue]:
    """Return the cues of a film, none of which overlap: what is said at once is shown together."""
    shown = [
        (start, end, f"{one.name}: {one.text}") for one in said for start, end in cuts.within(one.start_ms, one.end_ms)
    ]
    edges = sorted({edge for start, end, _ in shown for edge in (start, end)})
    found: list[Cue] = []
    waiting = sorted(shown, reverse=True)
    now: list[tuple[int, int, str]] = []
    for start, end in pairwise(edges):
        now = [one for one in now if one[1] > start]
        while waiting and waiting[-1][0] <= start:
            now.append(waiting.pop())
        text = "\n".join(line for _, _, line in now)
        if text and found and found[-1].text == text and found[-1].end_ms == start:
            found[-1] = found[-1]._replace(end_ms=end)
        elif text:
            found.append(Cue(start, end, text))
    return found


def add_captions(container: Any, kind: Format) -> Any:
    """Add a track of captions to a container."""
    stream = container.add_mux_stream(_CODECS[kind])
    stream.time_base = _TICK
    return stream


def packets(found: Sequence[Cue], kind: Format, stream: Any) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of the captions for their track."""
    for cue in found:
        packet = av.Packet(_timed_text(cue.text) if kind == "mp4" else _webvtt(cue.text))
        packet.stream, packet.time_base = stream, _TICK
        packet.pts = packet.dts = cue.start_ms
        packet.duration = cue.end_ms - cue.start_ms
        yield packet


def _timed_text(text: str) -> bytes:
    data = text.encode()[:_MOST_BYTES].decode(errors="ignore").encode()
    return struct.pack(">H", len(data)) + data


def _webvtt(text: str) -> bytes:
    """Return a cue's payload; an empty line would end it."""
    safe = html.escape(text, quote=False)
    return "\n".join(line for line in safe.splitlines() if line.strip()).encode()
