"""The pictures of a film, one after another. Threads decode and scale the images of all tracks slightly ahead of
drawing and encoding.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from foundation.film_options import FilmOptions
from foundation.jobs import Said
from objects.sealed_file import PLAIN, Files
from recorder.compose.canvas import Canvas, Levels, Scaled, Scaler
from recorder.compose.images import Images, Shown
from recorder.compose.layouts import WAVE, Box, Tile
from recorder.compose.levels import LEVEL_MS
from recorder.compose.scenes import INTERRUPTED, Scene
from recorder.manifest import ManifestTrack

THREADS = len(os.sched_getaffinity(0))
_AHEAD = 8
"""The number of pictures prepared ahead: enough to keep threads busy, few enough to limit memory."""
_OPEN = 32
"""The number of tracks whose files stay open: visible ones, and some that may return."""
_WAVE_LEVELS = 6000 // LEVEL_MS


class Instant(NamedTuple):
    """A requested picture: its scene, and its time in ms of the recording."""

    scene: Scene
    ms: float


Change = Scaled | str | None
"""The change of a tile: an image, a name with a note, or none."""
_Prepared = list[tuple[list[Tile], Future[list[list[Change]]]]]
"""The tiles of a track, and their changes at each instant."""


class Stage:
    """The current picture. Times must not go back."""

    def __init__(
        self,
        root: Path,
        tracks: Iterable[ManifestTrack],
        options: FilmOptions,
        levels: Levels,
        *,
        files: Files = PLAIN,
        said: Sequence[Said] = (),
    ) -> None:
        self._root = root
        self._files = files
        self._tracks = {track.track: track for track in tracks}
        self._canvas = Canvas(options, said)
        self._readers: OrderedDict[str, _Reader] = OrderedDict()
        self._levels = np.pad(levels, _WAVE_LEVELS)
        self._threads = ThreadPoolExecutor(THREADS, "images")
        self._scene: Scene | None = None

    def pictures(self, instants: Iterable[Instant]) -> Iterator[av.VideoFrame]:
        """Yield the picture at each instant; the next one overwrites it."""
        coming = _together(instants)
        now = next(coming, None)
        images = self._prepare(now) if now is not None else []
        while now is not None:
            ready = [(tiles, future.result()) for tiles, future in images]
            following = next(coming, None)
            images = self._prepare(following) if following is not None else []
            for index, instant in enumerate(now):
                self._canvas.resume()
                self._begin(instant.scene)
                for tiles, changes in ready:
                    for tile, change in zip(tiles, changes[index], strict=True):
                        self._draw(tile, change)
                self._draw_wave(instant)
                yield self._canvas.finish(instant.ms)
            now = following

    def follow(self, tracks: Iterable[ManifestTrack]) -> None:
        """Continue with the tracks of a later moment: there may be new ones, and known ones have more files."""
        self._tracks = {track.track: track for track in tracks}
        for name, reader in self._readers.items():
            if name in self._tracks:
                reader.follow(self._tracks[name])

    def close(self) -> None:
        self._threads.shutdown()
        for reader in self._readers.values():
            reader.close()

    def _prepare(self, instants: list[Instant]) -> _Prepared:
        """Start decoding for instants of one scene, after all earlier work is complete."""
        scene, times = instants[0].scene, [instant.ms for instant in instants]
        of: dict[str, list[Tile]] = {}
        for tile in scene.tiles:
            if tile.track in self._tracks:
                of.setdefault(tile.track, []).append(tile)
        readers = [(tiles, self._reader(track)) for track, tiles in of.items()]
        return [(tiles, self._threads.submit(reader.changes, scene, tiles, times)) for tiles, reader in readers]

    def _begin(self, scene: Scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self._canvas.begin(scene)

    def _draw(self, tile: Tile, change: Change) -> None:
        if isinstance(change, str):
            self._canvas.placard(tile, change)
        elif change is not None:
            self._canvas.show(tile, change)

    def _draw_wave(self, instant: Instant) -> None:
        for tile in instant.scene.tiles:
            if tile.track == WAVE:
                first = min(round(instant.ms / LEVEL_MS), self._levels.size - 2 * _WAVE_LEVELS)
                middle, last = first + _WAVE_LEVELS, first + 2 * _WAVE_LEVELS
                self._canvas.wave(tile.box, self._levels[first:middle], self._levels[middle:last])

    def _reader(self, track: str) -> "_Reader":
        reader = self._readers.pop(track, None) or _Reader(self._root, self._tracks[track], self._files)
        self._readers[track] = reader
        if len(self._readers) > _OPEN:
            self._readers.popitem(last=False)[1].close()
        return reader


class _Reader:
    """The images of a track, scaled for its tiles. One thread at a time may use it."""

    def __init__(self, root: Path, track: ManifestTrack, files: Files) -> None:
        self._images = Images(root, track, files)
        self._scalers: dict[Box, Scaler] = {}
        self._scene: Scene | None = None
        self._shown: list[Shown] = []

    def changes(self, scene: Scene, tiles: list[Tile], times: list[float]) -> list[list[Change]]:
        """Return the change of each tile for each time."""
        if scene is not self._scene:
            self._scene, self._shown = scene, [Shown()] * len(tiles)
            self._scalers = {tile.box: self._scalers.get(tile.box) or Scaler() for tile in tiles}
        return [[self._change(index, tile, ms) for index, tile in enumerate(tiles)] for ms in times]

    def _change(self, index: int, tile: Tile, ms: float) -> Change:
        shown = self._images.at(ms, tile.since_ms)
        if shown == self._shown[index]:
            return None
        self._shown[index] = shown
        if shown.image is None or shown.is_interrupted:
            return INTERRUPTED if shown.is_interrupted else ""
        return self._scalers[tile.box].scale(shown.image.image, tile.box)

    def follow(self, track: ManifestTrack) -> None:
        self._images.follow(track)

    def close(self) -> None:
        self._images.close()


def _together(instants: Iterable[Instant]) -> Iterator[list[Instant]]:
    """Yield groups of consecutive instants in the same scene."""
    some: list[Instant] = []
    for instant in instants:
        if some and (len(some) == _AHEAD or instant.scene is not some[0].scene):
            yield some
            some = []
        some.append(instant)
    if some:
        yield some
