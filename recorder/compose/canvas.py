"""The picture that is encoded: planes of YUV 4:2:0 with tiles, names and images on them."""

import colorsys
import functools
import zlib
from dataclasses import replace

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from recorder.compose import lettering
from recorder.compose.scenes import HEIGHT, WIDTH, Box, Scene, Tile

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]

_BACKGROUND = (18, 20, 24)
_GAP = 2
_LABEL = 24
_LABEL_SIZE = 15
_LETTERS = (235, 235, 235)
_FAINT = (180, 184, 190)
_BLACK = (16, 128, 128)


class Canvas:
    """Holds the current picture; `luma` and `chroma` are written in place."""

    def __init__(self) -> None:
        self._planes: Planes = _to_planes(Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND))

    def begin(self, scene: Scene) -> None:
        """Draw a scene without its images."""
        self._planes = _to_planes(Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND))
        for tile in scene.tiles:
            self.placard(tile, tile.note)

    def placard(self, tile: Tile, note: str) -> None:
        """Put a participant's name into its tile, and below it why there is no image."""
        self._paste(_placard(replace(tile, track=None, note=note, since_ms=0)), tile.box)

    def show(self, tile: Tile, image: av.VideoFrame) -> None:
        """Put an image into its tile, as large as fits, with the label over it."""
        box = tile.box
        inner = Box(box.x + _GAP, box.y + _GAP, box.width - 2 * _GAP, box.height - 2 * _GAP)
        fitted = fit(image.width, image.height, inner)
        scaled = image.reformat(width=fitted.width, height=fitted.height, format="yuv420p")
        for plane, value in zip(self._planes, _BLACK, strict=True):
            _part(plane, inner)[:] = value
        self._paste(_split(_pixels(scaled), fitted.width, fitted.height), fitted)
        label, planes = _label(tile.name, tile.muted, inner.width)
        self._paste(planes, Box(inner.x, inner.y + inner.height - label[1], *label))

    def _paste(self, planes: Planes, box: Box) -> None:
        for plane, data in zip(self._planes, planes, strict=True):
            _part(plane, box)[:] = data

    def frame(self) -> av.VideoFrame:
        """Return a copy of the picture to encode."""
        luma, *chroma = self._planes
        flat = np.concatenate([luma.reshape(-1), *(plane.reshape(-1) for plane in chroma)])
        return av.VideoFrame.from_ndarray(flat.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p")


def fit(width: int, height: int, box: Box) -> Box:
    """Return the largest box of the image's shape within `box`, in its middle."""
    scale = min(box.width / max(width, 1), box.height / max(height, 1))
    wide, high = max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)
    return Box((box.x + (box.width - wide) // 2) // 2 * 2, (box.y + (box.height - high) // 2) // 2 * 2, wide, high)


@functools.lru_cache(maxsize=128)
def _placard(tile: Tile) -> Planes:
    """Return the planes of a tile without an image: its participant's colour, with name and note in the middle."""
    width, height = tile.box.width, tile.box.height
    picture = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    hue = zlib.crc32(tile.participant.encode()) % 360 / 360
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.45, 0.38))
    draw.rectangle((_GAP, _GAP, width - _GAP - 1, height - _GAP - 1), fill=colour)
    base = _centred(draw, tile.name, height // 5, (width, height // 2), _LETTERS)
    if tile.note:
        _centred(draw, tile.note, height // 12, (width, base + height // 9), _FAINT)
    if tile.muted:
        _draw_muted(draw, 14, height - 14)
    return _to_planes(picture)


def _centred(draw: ImageDraw.ImageDraw, text: str, largest: int, at: tuple[int, int], colour: lettering.Colour) -> int:
    """Draw text in the middle of a width, around a height, no larger than it fits; returns where its base line is."""
    wide, middle = at
    text = lettering.printable(text)
    size = max(12, largest)
    while size > 12 and lettering.width(text, size) > 0.9 * wide:
        size -= 1
    base = middle + size // 3
    lettering.draw(draw, ((wide - lettering.width(text, size)) / 2, base), text, size, colour)
    return base


@functools.lru_cache(maxsize=256)
def _label(name: str, muted: bool, width: int) -> tuple[tuple[int, int], Planes]:
    """Return size and planes of the label at the bottom of a tile."""
    text = lettering.printable(name)
    before = 6 + (22 if muted else 0)
    size = max(2, min(width, before + 6 + lettering.width(text, _LABEL_SIZE)) // 2 * 2), _LABEL
    picture = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    lettering.draw(draw, (before, _LABEL - 7), text, _LABEL_SIZE, _LETTERS)
    if muted:
        _draw_muted(draw, 13, _LABEL // 2)
    return size, _to_planes(picture)


def _draw_muted(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(200, 40, 40))
    draw.line((x - 4, y - 4, x + 4, y + 4), fill=(255, 255, 255), width=2)


def _to_planes(picture: Image.Image) -> Planes:
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")
    y, u, v = _split(_pixels(frame), picture.width, picture.height)
    return y.copy(), u.copy(), v.copy()


def _pixels(frame: av.VideoFrame) -> Plane:
    return np.asarray(frame.to_ndarray(), np.uint8)


def _split(data: Plane, width: int, height: int) -> Planes:
    flat = data.reshape(-1)
    luma, chroma = width * height, (width // 2) * (height // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(height // 2, width // 2),
        flat[luma + chroma :].reshape(height // 2, width // 2),
    )


def _part(plane: Plane, box: Box) -> Plane:
    """Return the view of a plane that a box covers."""
    shrink = WIDTH // plane.shape[1]
    part: Plane = plane[
        box.y // shrink : (box.y + box.height) // shrink, box.x // shrink : (box.x + box.width) // shrink
    ]
    return part
