"""Recordings on disk: the amount captured so far, and the times of frames in finished files."""

import itertools
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import av
import msgspec

from recorder import layout
from recorder.manifest import Manifest

_WORTH = 20
# Time that a busy machine may take to send or record the next frame.
_PATIENCE = 5.0


class Interruption(NamedTuple):
    """An interruption of media between two times (Unix time, s)."""

    begun: float
    ended: float


def tracks_with_frames(recording: Path) -> int:
    """Return the number of tracks with captured frames."""
    return sum(_frames(track) >= _WORTH for track in layout.track_dirs(recording)) if recording.exists() else 0


def _frames(track: Path) -> int:
    lines = (line for _, path in layout.journals(track) for line in path.read_bytes().splitlines())
    return sum(line[8:11] == b" f " for line in lines)


def manifest_of(recording: Path) -> Manifest:
    return msgspec.json.decode((recording / layout.MANIFEST_NAME).read_bytes(), type=Manifest)


def check_once_over(root: Path, manifest: Manifest, people: set[str], interruptions: list[Interruption]) -> None:
    """Check that sound and picture of all people play before, between and after interruptions, and never overlap."""
    pieces: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for track in manifest.tracks:
        times = [at for file in track.files for at in _decoded(root / file.key, file.start_ms / 1000)]
        pieces[track.name, track.source].append([at + manifest.started_unix_ms / 1000 for at in times])
    assert set(pieces) == {(name, source) for name in people for source in ("camera", "microphone")}
    for who, found in pieces.items():
        spans = sorted((times[0], times[-1]) for times in found)
        assert len(spans) == len(interruptions) + 1, (who, spans, interruptions)
        for interruption, (before, after) in zip(interruptions, itertools.pairwise(spans), strict=True):
            context = (who, spans, interruption)
            assert before[1] < after[0], context
            assert interruption.begun - _PATIENCE < before[1] < interruption.ended, context
            assert interruption.begun < after[0] < interruption.ended + _PATIENCE, context
        gaps = [gap for times in found for gap in itertools.pairwise(times) if gap[1] - gap[0] > _PATIENCE]
        assert not gaps, (who, gaps)


def _decoded(path: Path, start: float) -> list[float]:
    """Decode a finished file and return the times at which its frames are shown or heard."""
    with av.open(path) as container:
        times = [start + float(frame.time or 0) for frame in container.decode(container.streams[0])]
    assert len(times) >= _WORTH, (path, len(times))
    return times
