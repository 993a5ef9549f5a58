"""The picture to encode: planes of YUV 4:2:0 with tiles, names and images."""

import colorsys
import functools
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image, ImageDraw

from foundation.film_options import FilmOptions
from foundation.jobs import Said
from recorder.compose import lettering
from recorder.compose.layouts import Box, Tile
from recorder.compose.overlays import Overlays, Plane, Planes, opened_image
from recorder.compose.scenes import Scene

Levels = npt.NDArray[np.float32]
Rgb = tuple[int, int, int]

_DARK = (18, 20, 24)
_GAP = 2
_LABEL = 24
_LABEL_SIZE = 15
_LETTERS = (235, 235, 235)
_FAINT = (180, 184, 190)
_WAVE_GROUND = (24, 130, 126)
_WAVE_HEARD, _WAVE_COMING = 200, 90
_LOGO_SHARE = 0.12


class Scaled(NamedTuple):
    """An image in the size in which it is shown, and its position."""

    box: Box
    planes: Planes


class _Place(NamedTuple):
    """The place of images of one size: views of the canvas's planes, and the parts of the image's planes for them.

    `label` is what is drawn over them: other views, and what they show. `above` are the tiles on top of this one.
    """

    views: Planes
    parts: tuple[tuple[slice, slice], ...]
    label: tuple[tuple[Plane, Plane], ...]
    above: tuple[Tile, ...]


class Canvas:
    """The current picture, in one frame that is changed in place: an encoder must copy it before the next change."""

    def __init__(self, options: FilmOptions, said: Sequence[Said] = ()) -> None:
        self._overlays = Overlays(options, said)
        self._places: dict[tuple[Tile, Box], _Place] = {}
        self._shown: dict[Tile, Scaled | str] = {}
        self.frame = av.VideoFrame(options.width, options.height, "yuv420p")
        self._planes = _views(self.frame)
        self._background = _rgb(options.background)
        self._empty = _to_planes(Image.new("RGB", (options.width, options.height), self._background))
        self._logo = _logo(options, self._background)

    def begin(self, scene: Scene) -> None:
        """Draw a scene without its images."""
        self._places.clear()
        self._shown = {tile: tile.note for tile in scene.tiles}
        self._paste(self._empty, Box(0, 0, self.frame.width, self.frame.height))
        for tile in scene.tiles:
            self.placard(tile, tile.note)

    def placard(self, tile: Tile, note: str) -> None:
        """Draw a participant's name in its tile, and below it the reason that there is no image."""
        plain = replace(tile, track=None, note=note, since_ms=0)
        self._paste(_placard(plain, self._background), tile.box)
        self._shown[tile] = note
        self._places.clear()  # the margins of images must be drawn anew
        self._draw_again(self._above(tile))

    def show(self, tile: Tile, image: Scaled) -> None:
        """Draw an image in its tile, with the label over it."""
        place = self._places.get((tile, image.box))
        if place is None:
            place = self._places[tile, image.box] = self._place(tile, image)
        for view, part, data in zip(place.views, place.parts, image.planes, strict=True):
            view[:] = data[part]
        for view, data in place.label:
            view[:] = data
        self._shown[tile] = image
        self._draw_again(place.above)

    def _above(self, tile: Tile) -> tuple[Tile, ...]:
        """Return the tiles that cover a part of this one."""
        tiles = list(self._shown)
        return tuple(other for other in tiles[tiles.index(tile) + 1 :] if _overlap(tile.box, other.box))

    def _draw_again(self, tiles: tuple[Tile, ...]) -> None:
        for tile in tiles:
            shown = self._shown[tile]
            if isinstance(shown, str):
                self.placard(tile, shown)
            else:
                self.show(tile, shown)

    def _place(self, tile: Tile, image: Scaled) -> _Place:
        """Return the place of an image in its tile, after drawing the margins that it leaves free."""
        is_alone = (tile.box.width, tile.box.height) == (self.frame.width, self.frame.height)
        box, within = tile.box if is_alone else _inner(tile.box), image.box
        if within.width < box.width or within.height < box.height:
            for plane, empty in zip(self._planes, self._empty, strict=True):
                self._part(plane, box)[:] = self._part(empty, box)
        left, top = max(box.x, within.x), max(box.y, within.y)
        wide = min(box.x + box.width, within.x + within.width) - left
        high = min(box.y + box.height, within.y + within.height) - top
        y, u, v = (self._part(plane, Box(left, top, wide, high)) for plane in self._planes)
        parts = []
        for plane in image.planes:
            shrink = within.width // plane.shape[1]
            row, column = (top - within.y) // shrink, (left - within.x) // shrink
            parts.append((slice(row, row + high // shrink), slice(column, column + wide // shrink)))
        label: tuple[tuple[Plane, Plane], ...] = ()
        if tile.labelled:
            size, planes = _label(tile.name, tile.muted, box.x + box.width - left)
            area = Box(left, top + high - size[1], *size)
            label = tuple((self._part(plane, area), data) for plane, data in zip(self._planes, planes, strict=True))
        return _Place((y, u, v), tuple(parts), label, self._above(tile))

    def wave(self, box: Box, before: Levels, after: Levels) -> None:
        """Draw the sound as bars (each 0 to 1): past sound in the left half, coming sound in the right half."""
        for plane, value in zip(self._planes, _WAVE_GROUND, strict=True):
            self._part(plane, box)[:] = value
        luma = self._part(self._planes[0], box)
        step = max(2.0, box.width / (before.size + after.size))
        for index, level in enumerate(np.concatenate([before, after])):
            half = max(1, round(float(level) * 0.45 * box.height))
            left = round(index * step)
            middle = box.height // 2
            bright = _WAVE_HEARD if index < before.size else _WAVE_COMING
            luma[middle - half : middle + half, left : left + max(1, round(step) - 1)] = bright

    def resume(self) -> None:
        """Take away what `finish` drew over the picture, before changing it again."""
        self._overlays.restore()

    def finish(self, ms: float = 0) -> av.VideoFrame:
        """Draw the logo, the captions of an instant and the watermark on top, and return the picture."""
        if self._logo is not None:
            self._paste(self._logo[1], self._logo[0])
        self._overlays.draw(self._planes, ms)
        return self.frame

    def _paste(self, planes: Planes, box: Box) -> None:
        for plane, data in zip(self._planes, planes, strict=True):
            self._part(plane, box)[:] = data

    def _part(self, plane: Plane, box: Box) -> Plane:
        """Return the part of a plane that a box covers, as a view."""
        shrink = self.frame.width // plane.shape[1]
        part: Plane = plane[
            box.y // shrink : (box.y + box.height) // shrink, box.x // shrink : (box.x + box.width) // shrink
        ]
        return part


class Scaler:
    """Scales the images of one track; it may run in any thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def scale(self, image: av.VideoFrame, box: Box) -> Scaled:
        """Return an image in the largest size that fits into a tile. The gap between tiles will cover its edges."""
        fitted = fit(image.width, image.height, box)
        scaled = self._reformatter.reformat(
            image,
            width=fitted.width,
            height=fitted.height,
            format="yuv420p",
            interpolation=Interpolation.AREA,
            threads=1,  # images are scaled beside each other; slices would only wait for one another
        )
        return Scaled(fitted, _views(scaled))


def _inner(box: Box) -> Box:
    """Return a tile's box without the gap around it."""
    return Box(box.x + _GAP, box.y + _GAP, box.width - 2 * _GAP, box.height - 2 * _GAP)


def _overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def fit(width: int, height: int, box: Box) -> Box:
    """Return the largest box with the image's aspect ratio in the centre of `box`."""
    scale = min(box.width / max(width, 1), box.height / max(height, 1))
    wide, high = max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)
    return Box((box.x + (box.width - wide) // 2) // 2 * 2, (box.y + (box.height - high) // 2) // 2 * 2, wide, high)


@functools.lru_cache(maxsize=128)
def _placard(tile: Tile, background: Rgb) -> Planes:
    """Return the planes of a tile without an image: its participant's colour, with name and note in the centre."""
    width, height = tile.box.width, tile.box.height
    picture = Image.new("RGB", (width, height), background)
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
    """Draw text centred in a width, around a height, no larger than fits; return the position of its baseline."""
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
    picture = Image.new("RGB", size, _DARK)
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
    y, u, v = _views(frame)
    return y.copy(), u.copy(), v.copy()


def _views(frame: av.VideoFrame) -> Planes:
    """Return the planes of a frame without copying; they keep the frame alive."""
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    )
    return y, u, v


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _logo(options: FilmOptions, background: Rgb) -> tuple[Box, Planes] | None:
    """Return the logo in the upper right corner. Raises ValueError if it is not an image."""
    if not options.logo:
        return None
    drawn = opened_image(options.logo, "logo")
    side = int(min(options.width, options.height) * _LOGO_SHARE)
    fitted = fit(drawn.width, drawn.height, Box(0, 0, 3 * side, side))
    drawn = drawn.resize((fitted.width, fitted.height))
    picture = Image.new("RGB", drawn.size, background)
    picture.paste(drawn, mask=drawn)
    margin = side // 4 // 2 * 2
    place = Box((options.width - fitted.width - margin) // 2 * 2, margin, fitted.width, fitted.height)
    return place, _to_planes(picture)
