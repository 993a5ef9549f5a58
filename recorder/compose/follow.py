"""The process that makes a film while its recording is running, as far as that is captured.

    python -m recorder.compose.follow ROOT RECORDING DIRECTORY

It has no secrets but the keys of the recording (on its standard input), and the lowest priority. It reads segments and
writes parts of the picture, and the sound, to DIRECTORY. When the recording is finished, it encodes the rest of the
sound, and deletes what the recording contradicts. It may be killed at any moment: the next one continues the picture
after the last complete part, and begins the sound anew. After each part it prints the time in ms until which the
picture is made.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from foundation.film_options import FilmOptions
from objects.sealed_file import Files
from recorder.compose.confinement import confine
from recorder.compose.contract import files_by
from recorder.compose.early import OPTIONS, RATE, EarlyParts, shown, span_of
from recorder.compose.early_sound import EarlySound
from recorder.compose.film import write_part
from recorder.compose.formats import PART_SECONDS, video_part
from recorder.compose.scenes import Scene, scenes
from recorder.compose.stage import Instant, Stage
from recorder.manifest import ManifestTrack, decode_manifest
from recorder.running import Follower, Running

_NICE = 19
_LOOK_SECONDS = 5.0
_END_SECONDS = 0.2
_AHEAD_MS = 2500
"""The time that must be captured after a part: what comes within two seconds may already be visible in it."""


class EarlyFilm:
    """The beginning of a film: part after part of the picture, and the sound."""

    def __init__(self, root: Path, directory: Path, files: Files, options: FilmOptions = OPTIONS) -> None:
        self._directory = directory
        self._options = options
        self._files = files
        self._parts = EarlyParts(directory, files)
        self._parts.begin()
        self._sound = EarlySound(root, directory, options.format, files)
        self._stage = Stage(root, [], options, np.zeros(0, np.float32), files=files)
        self._next = 0

    def make(self, seen: Running) -> bool:
        """Process some of what is captured; return True if there is more. Raises OSError, av.FFmpegError."""
        more = not seen.unsure.get("audio") and self._sound.advance(_heard(seen), seen.until_ms)
        return self._make_part(seen) or more

    def finish(self, data: bytes, seen: Running) -> None:
        """Complete what belongs to the finished recording, whose manifest is `data`. Raises OSError, av.FFmpegError."""
        finished = decode_manifest(data)
        if not seen.unsure.get("audio"):
            self._sound.finish(_heard(seen), finished)
        self._parts.settle(data, finished)

    def close(self) -> None:
        self._sound.close()
        self._stage.close()

    @property
    def made_ms(self) -> int:
        """The time until which the picture is made."""
        return span_of(self._next)[0]

    def _make_part(self, seen: Running) -> bool:
        """Make the next part of the picture; return False if it is not captured yet."""
        while span_of(self._next)[1] + _AHEAD_MS <= seen.until_ms:
            number, self._next = self._next, self._next + 1
            part = video_part(self._directory, number, self._options.format)
            if part.exists() or _is_unsure(number, seen):
                continue
            found = scenes(seen.manifest, self._options)
            self._parts.note(number, shown(found, seen.manifest.tracks, span_of(number)))
            self._stage.follow(seen.manifest.tracks)
            pictures = self._stage.pictures(_instants(found, number))
            for _ in write_part(part, pictures, self._options, RATE, self._files):
                pass
            return True
        return False


def _heard(seen: Running) -> list[ManifestTrack]:
    return [track for track in seen.manifest.tracks if track.media == "audio"]


def _instants(found: list[Scene], number: int) -> list[Instant]:
    instants, place = [], 0
    for index in range(PART_SECONDS * RATE):
        at = span_of(number)[0] + index * 1000 / RATE
        while place < len(found) - 1 and found[place].end_ms <= at:
            place += 1
        instants.append(Instant(found[place], at))
    return instants


def _is_unsure(number: int, seen: Running) -> bool:
    start, end = span_of(number)
    return any(start < last and first < end for first, last in seen.unsure.get("video", []))


def main() -> int:
    root, recording, directory = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    confine(_NICE)
    files = files_by(sys.stdin.buffer.read())
    follower = Follower(root, recording, files)
    film = EarlyFilm(root, directory, files)
    parent = os.getppid()
    try:
        while os.getppid() == parent:
            seen = follower.look(time.time_ns() // 1_000_000)
            if seen is not None and film.make(seen):
                sys.stdout.write(f"{film.made_ms}\n")
                sys.stdout.flush()
            elif seen is not None or follower.is_running():
                time.sleep(_LOOK_SECONDS)
            elif (ended := follower.ended()) is not None:
                film.finish(*ended)
                return 0
            else:
                time.sleep(_END_SECONDS)
    finally:
        film.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
