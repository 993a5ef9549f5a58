"""The current picture of a broadcast, of which only the changed areas are redrawn."""

from collections import deque

import av
import numpy as np

from foundation.film_options import FilmOptions
from recorder.broadcast.cast import Cast
from recorder.broadcast.video_track import LiveImage
from recorder.compose.canvas import Canvas, Scaler
from recorder.compose.layouts import WAVE, Tile, arrange
from recorder.compose.scenes import Scene

_WAVE_LEVELS = 150


class Picture:
    """Draws the picture. Times must not decrease; each call of `at` overwrites the frame that it returned before."""

    def __init__(self, options: FilmOptions) -> None:
        self._options = options
        self._canvas = Canvas(options)
        self._tiles: tuple[Tile, ...] | None = None
        self._shown: dict[Tile, LiveImage] = {}
        self._scalers: dict[Tile, Scaler] = {}
        self._levels: deque[float] = deque([0.0] * _WAVE_LEVELS, maxlen=_WAVE_LEVELS)

    def heard(self, level: float) -> None:
        """Set the loudness, for layouts that show the sound."""
        self._levels.append(level)

    def at(self, cast: Cast, us: int, speaker: str) -> av.VideoFrame:
        """Return the picture at an instant."""
        self._canvas.resume()
        tiles = arrange(cast.moment(us, speaker, self._options), self._options)
        if tiles != self._tiles:
            self._tiles, self._shown = tiles, {}
            self._scalers = {tile: self._scalers.get(tile) or Scaler() for tile in tiles}
            self._canvas.begin(Scene(0, 0, tiles))
        for tile in tiles:
            if tile.track == WAVE:
                self._canvas.wave(tile.box, np.array(self._levels, np.float32), np.zeros(0, np.float32))
            elif tile.track is not None:
                self._draw(tile, cast.image(tile.track, us))
        return self._canvas.finish()

    def _draw(self, tile: Tile, image: LiveImage | None) -> None:
        if image is None or self._shown.get(tile) is image:
            return
        self._shown[tile] = image
        self._canvas.show(tile, self._scalers[tile].scale(image.image, tile.box))
