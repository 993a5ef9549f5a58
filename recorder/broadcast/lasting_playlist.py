"""The playlist of a stream whose segments stay (HLS: RFC 8216), and one of the newest. It does no I/O."""

from itertools import pairwise
from typing import NamedTuple

from recorder.broadcast.contract import KEYFRAME_SECONDS

_NEWEST = 5


class _Segment(NamedTuple):
    """A segment, and the name of the initialization section that it needs."""

    initialization: str
    name: str
    seconds: float


class LastingPlaylist:
    """All segments so far. They begin with keyframes and last about `seconds`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = -(-seconds // KEYFRAME_SECONDS) * KEYFRAME_SECONDS
        self._segments: list[_Segment] = []
        self._is_over = False

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, initialization: str, name: str, seconds: float) -> None:
        """Add a segment; with another initialization section, the stream was interrupted before it."""
        self._segments.append(_Segment(initialization, name, seconds))

    def end(self) -> None:
        """End the stream: no segment follows."""
        self._is_over = True

    def text(self) -> str:
        """Return the playlist of all segments."""
        return self._text(0, "EVENT")

    def newest(self) -> str:
        """Return the playlist of the newest segments."""
        return self._text(max(0, len(self._segments) - _NEWEST), "")

    def _text(self, first: int, kind: str) -> str:
        shown = self._segments[first:]
        breaks = sum(a.initialization != b.initialization for a, b in pairwise(self._segments[: first + 1]))
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{self.seconds}"]
        lines += [f"#EXT-X-PLAYLIST-TYPE:{kind}"] if kind else [f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines += [f"#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}"] if breaks else []
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        before = ""
        for segment in shown:
            if segment.initialization != before:
                lines += ["#EXT-X-DISCONTINUITY"] if before else []
                lines.append(f'#EXT-X-MAP:URI="{segment.initialization}"')
                before = segment.initialization
            lines += [f"#EXTINF:{segment.seconds:.5f},", segment.name]
        lines += ["#EXT-X-ENDLIST"] if self._is_over else []
        return "\n".join(lines) + "\n"
