"""Detection of faces in a picture with BlazeFace (Bazarevsky et al., 2019), long-range variant.

The net takes a 256 × 256 picture in ±1 and scores 896 anchors: two on each point of a 16 × 16 grid, six on each of an
8 × 8 grid. Each anchor has a box relative to it, in pixels of that picture. Boxes that overlap are one face.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.speech.session import session_options

Image = NDArray[np.uint8]
"""Height × width × RGB."""
Floats = NDArray[np.float32]
LEAST_SCORE = 0.6
MAX_FACES = 4
LEAST_PIXELS = 24
"""Shortest side, in pixels, of a face whose expression can be classified."""
_SIDE = 256
_GRIDS = ((16, 2), (8, 6))
_OVERLAP = 0.3
_MARGIN = 1.1
"""Factor by which a box is enlarged after it is made square, as in the classifiers' training."""


class Face(NamedTuple):
    """A square around a face, in pixels of the picture, and its score. It may extend beyond the picture."""

    left: int
    top: int
    side: int
    score: float


class FaceFinder:
    """The loaded BlazeFace net."""

    def __init__(self, model: Path) -> None:
        self._session = onnxruntime.InferenceSession(str(model), session_options(), providers=["CPUExecutionProvider"])
        self._anchors = _anchors()

    def find(self, image: Image) -> list[Face]:
        """Return at most MAX_FACES faces, largest first."""
        height, width = image.shape[:2]
        longest = max(height, width)
        fine, coarse, fine_boxes, coarse_boxes = self._session.run(None, {"image": _letterbox(image)[None]})
        logits = np.concatenate((fine[0, :, 0], coarse[0, :, 0]))
        boxes = np.concatenate((fine_boxes[0, :, :4], coarse_boxes[0, :, :4]))
        scores = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
        centres = (self._anchors + boxes[:, :2]) * longest / _SIDE - [(longest - width) / 2, (longest - height) / 2]
        sides = np.maximum(boxes[:, 2], boxes[:, 3]) * longest / _SIDE * _MARGIN
        found: list[Face] = []
        for index in np.argsort(-scores):
            if scores[index] < LEAST_SCORE:
                break
            side = float(sides[index])
            left, top = centres[index] - side / 2
            face = Face(round(left), round(top), round(side), round(float(scores[index]), 3))
            if face.side >= LEAST_PIXELS and all(_overlap(face, other) < _OVERLAP for other in found):
                found.append(face)
        return sorted(found, key=lambda face: -face.side)[:MAX_FACES]


def crop(image: Image, face: Face, side: int) -> Image:
    """Return the face as a square picture with sides of `side` pixels; beyond the picture, its edge is repeated."""
    height, width = image.shape[:2]
    steps = (np.arange(side) + 0.5) / side * face.side - 0.5
    return _sample(image, np.clip(face.top + steps, 0, height - 1), np.clip(face.left + steps, 0, width - 1))


def _letterbox(image: Image) -> Floats:
    """Return the picture in a square with black bars, with values in ±1."""
    height, width = image.shape[:2]
    scale = _SIDE / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    small = _sample(image, (np.arange(rows) + 0.5) / scale - 0.5, (np.arange(columns) + 0.5) / scale - 0.5)
    square = np.zeros((_SIDE, _SIDE, 3), np.float32)
    top, left = (_SIDE - rows) // 2, (_SIDE - columns) // 2
    square[top : top + rows, left : left + columns] = small
    return square / np.float32(127.5) - np.float32(1)


def _sample(image: Image, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Image:
    """Sample the picture bilinearly on a grid of rows and columns, after averaging blocks that would be skipped."""
    step = max(1, int(min(rows[-1] - rows[0], columns[-1] - columns[0]) / max(len(rows), len(columns), 1)))
    if step > 1:
        height, width = image.shape[0] // step * step, image.shape[1] // step * step
        blocks = image[:height, :width].reshape(height // step, step, width // step, step, 3)
        image = blocks.mean(axis=(1, 3)).astype(np.uint8)
        rows, columns = (rows + 0.5) / step - 0.5, (columns + 0.5) / step - 0.5
    rows, columns = np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1)
    top, left = rows.astype(int), columns.astype(int)
    below, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    down, across = (rows - top)[:, None, None], (columns - left)[None, :, None]
    upper = image[top][:, left] * (1 - across) + image[top][:, right] * across
    lower = image[below][:, left] * (1 - across) + image[below][:, right] * across
    return np.asarray(upper * (1 - down) + lower * down + 0.5, np.uint8)


def _overlap(one: Face, other: Face) -> float:
    """Return the intersection over union of two boxes."""
    wide = min(one.left + one.side, other.left + other.side) - max(one.left, other.left)
    high = min(one.top + one.side, other.top + other.side) - max(one.top, other.top)
    shared = max(0, wide) * max(0, high)
    return shared / (one.side**2 + other.side**2 - shared)


def _anchors() -> NDArray[np.float64]:
    points = []
    for cells, each in _GRIDS:
        at = (np.arange(cells) + 0.5) * _SIDE / cells
        grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        points.append(np.repeat(grid, each, axis=0))
    return np.concatenate(points)
