"""The picture that is encoded: planes of YUV 4:2:0 with tiles, names and images on them."""

import colorsys
import functools
import unicodedata
import zlib
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from recorder.compose.scenes import HEIGHT, WIDTH, Box, Scene, Tile

Plane = npt.NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BACKGROUND = (18, 20, 24)
_GAP = 2
_LABEL = 24
_FONTS = (
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf"),
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
)


class Canvas:
    """Holds the current picture; `luma` and `chroma` are written in place."""

    def __init__(self) -> None:
        self._planes: tuple[Plane, Plane, Plane] = _to_planes(Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND))

    def begin(self, scene: Scene) -> None:
        """Draw a scene without its images."""
        picture = Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND)
        for tile in scene.tiles:
            _draw_placard(picture, tile)
        self._planes = _to_planes(picture)

    def show(self, tile: Tile, image: av.VideoFrame) -> None:
        """Put an image into its tile, as large as it fits, with the label over it."""
        box = tile.box
        inner = Box(box.x + _GAP, box.y + _GAP, box.width - 2 * _GAP, box.height - 2 * _GAP)
        fitted = fit(image.width, image.height, inner)
        scaled = image.reformat(width=fitted.width, height=fitted.height, format="yuv420p")
        for plane, value in zip(self._planes, _BLACK, strict=True):
            _part(plane, inner)[:] = value
        for plane, data in zip(self._planes, _split(_pixels(scaled), fitted.width, fitted.height), strict=True):
            _part(plane, fitted)[:] = data
        label, planes = _label(tile.name, tile.muted, inner.width)
        at = Box(inner.x, inner.y + inner.height - label[1], *label)
        for plane, data in zip(self._planes, planes, strict=True):
            _part(plane, at)[:] = data

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


def _draw_placard(picture: Image.Image, tile: Tile) -> None:
    draw = ImageDraw.Draw(picture)
    box = tile.box
    hue = zlib.crc32(tile.participant.encode()) % 360 / 360
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.45, 0.38))
    corners = (box.x + _GAP, box.y + _GAP, box.x + box.width - _GAP - 1, box.y + box.height - _GAP - 1)
    draw.rectangle(corners, fill=colour)
    text = _printable(tile.name)
    font = _font(max(12, min(box.width // max(6, len(text)), box.height // 5)), text)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    middle = box.x + (box.width - (right - left)) / 2, box.y + (box.height - (bottom - top)) / 2
    draw.text(middle, text, fill=(235, 235, 235), font=font)
    if tile.muted:
        _draw_muted(draw, box.x + 14, box.y + box.height - 14)


@functools.lru_cache(maxsize=256)
def _label(name: str, muted: bool, width: int) -> tuple[tuple[int, int], tuple[Plane, Plane, Plane]]:
    """Return size and planes of the label at the bottom of a tile."""
    text = _printable(name)
    font = _font(15, text)
    wanted = 12 + int(font.getlength(text)) + (22 if muted else 0)
    size = max(2, min(width, wanted) // 2 * 2), _LABEL
    picture = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((6 + (22 if muted else 0), 3), text, fill=(235, 235, 235), font=font)
    if muted:
        _draw_muted(draw, 13, _LABEL // 2)
    return size, _to_planes(picture)


def _draw_muted(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(200, 40, 40))
    draw.line((x - 4, y - 4, x + 4, y + 4), fill=(255, 255, 255), width=2)


@functools.lru_cache(maxsize=64)
def _font(size: int, text: str) -> Font:
    """Return the first installed font for the text: Pillow's own has Latin letters only."""
    if not text.isascii():
        for path in _FONTS:
            if path.exists():
                return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


def _printable(name: str) -> str:
    return "".join(letter for letter in name[:40] if unicodedata.category(letter)[0] != "C") or "?"


def _to_planes(picture: Image.Image) -> tuple[Plane, Plane, Plane]:
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")
    y, u, v = _split(_pixels(frame), picture.width, picture.height)
    return y.copy(), u.copy(), v.copy()


def _pixels(frame: av.VideoFrame) -> Plane:
    return np.asarray(frame.to_ndarray(), np.uint8)


def _split(data: Plane, width: int, height: int) -> tuple[Plane, Plane, Plane]:
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


_BLACK = (16, 128, 128)
