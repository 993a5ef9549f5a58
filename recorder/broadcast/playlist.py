"""The playlist of a live stream (HLS: RFC 8216 and its second edition, with parts for low latency). It does no I/O."""

from dataclasses import dataclass, field
from typing import NamedTuple

from recorder.broadcast.contract import KEYFRAME_SECONDS
from recorder.broadcast.fragments import Part

_INITIALIZATION = "init.mp4"
PART_SECONDS = 0.5
"""The time after which a part is cut. Parts must last at least 85 % of the target, and no longer than it."""
PART_TARGET = 0.58
LONGEST_PART = 2.0
"""The length (s) from which a stream is started again, since its segments would be longer than its playlist says."""
TOO_LATE = "Pictures were too late. The stream was started again."
_SHOWN = 8
_KEPT = 16
"""The time for which segments stay after they left the playlist, for players that are behind."""
_WITH_PARTS = 2
"""Number of newest segments whose parts are listed."""


@dataclass(slots=True)
class _Segment:
    number: int
    parts: list[Part] = field(default_factory=list)
    done: bool = False

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)


class Change(NamedTuple):
    """Objects to store, in this order, and then objects to remove."""

    stored: list[tuple[str, bytes]]
    removed: list[str]


class Playlist:
    """The newest segments. `session` distinguishes names after a restart."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._segments: list[_Segment] = []
        self._is_over = False

    @property
    def initialization(self) -> str:
        return f"{self._session}-{_INITIALIZATION}"

    @property
    def is_playable(self) -> bool:
        """True once there is a complete segment: some players give up on a playlist without one."""
        return any(segment.done for segment in self._segments)

    def add(self, part: Part) -> Change:
        """Add the next part."""
        if not self._segments or self._segments[-1].number != part.segment:
            self._segments.append(_Segment(part.segment))
        self._segments[-1].parts.append(part)
        stored = [(self._part_name(part), part.data)]
        if part.last:
            stored.append(self._complete(self._segments[-1]))
        removed: list[str] = []
        while len(self._segments) > _KEPT:
            old = self._segments.pop(0)
            removed += [self._name(old), *(self._part_name(one) for one in old.parts)]
        return Change(stored, removed)

    def end(self) -> Change:
        """End the stream."""
        self._is_over = True
        open_one = self._segments[-1:] if self._segments and not self._segments[-1].done else []
        return Change([self._complete(one) for one in open_one], [])

    def text(self) -> str:
        """Return the playlist."""
        shown = self._segments[-_SHOWN:]
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{KEYFRAME_SECONDS}",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={3 * PART_TARGET:.3f}",
            f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET}",
            f"#EXT-X-MEDIA-SEQUENCE:{shown[0].number if shown else 0}",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f'#EXT-X-MAP:URI="{self.initialization}"',
        ]
        for index, segment in enumerate(shown):
            if index >= len(shown) - 1 - _WITH_PARTS:
                lines += map(self._part_line, segment.parts)
            if segment.done:
                lines += [f"#EXTINF:{segment.seconds:.5f},", self._name(segment)]
        if self._is_over:
            lines.append("#EXT-X-ENDLIST")
        elif shown:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self._next_name(shown[-1])}"')
        return "\n".join(lines) + "\n"

    def _complete(self, segment: _Segment) -> tuple[str, bytes]:
        segment.done = True
        return self._name(segment), b"".join(part.data for part in segment.parts)

    def _next_name(self, newest: _Segment) -> str:
        """Return the name of the next part, which players request before it is there."""
        segment, number = (newest.number + 1, 0) if newest.done else (newest.number, len(newest.parts))
        return f"{self._session}-{segment}-{number}.m4s"

    def _part_line(self, part: Part) -> str:
        independent = ",INDEPENDENT=YES" if part.independent else ""
        return f'#EXT-X-PART:DURATION={part.seconds:.5f},URI="{self._part_name(part)}"{independent}'

    def _name(self, segment: _Segment) -> str:
        return f"{self._session}-{segment.number}.m4s"

    def _part_name(self, part: Part) -> str:
        return f"{self._session}-{part.segment}-{part.number}.m4s"
