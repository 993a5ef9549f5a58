"""Translucent images over the picture: the watermark and captions. They are blended anew into each picture."""

import base64
import functools
import io
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from foundation.film_options import FilmOptions, Watermark
from foundation.jobs import Said
from recorder.compose import lettering
from recorder.compose.layouts import Box

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]

_MAX_PIXELS = 4_000_000
_MARK_SHARE = 0.12
_MARK_LETTERS = 80
_LETTERS = (255, 255, 255)
_SHADOW = (0, 0, 0, 160)
_CAPTION_SHARE = 0.045
_CAPTION_WIDTH = 0.8
_MOST_LINES = 4
_MOST_LETTERS = 400
_GROUND = (0, 0, 0, 170)


class Overlay(NamedTuple):
    """An image in a box of the picture: its planes, multiplied by their opacity (0 to 256), and what they leave."""

    box: Box
    planes: tuple[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]], ...]


class Overlays:
    """The overlays of a film. `draw` blends those of an instant, `restore` takes them away before the next drawing."""

    def __init__(self, options: FilmOptions, said: Sequence[Said] = ()) -> None:
        self._size = options.width, options.height
        self._mark = _watermark(options)
        self._said = sorted(said, key=lambda one: one.start_ms)
        self._covered: list[tuple[Plane, Plane]] = []

    def draw(self, planes: Planes, ms: float) -> None:
        """Blend the overlays of an instant into the picture."""
        for overlay in self._at(ms):
            for plane, (image, left) in zip(planes, overlay.planes, strict=True):
                part = _part(plane, overlay.box, self._size[0])
                self._covered.append((part, part.copy()))
                part[:] = (image + part * left) >> 8

    def restore(self) -> None:
        """Take the overlays away."""
        while self._covered:
            part, before = self._covered.pop()
            part[:] = before

    def _at(self, ms: float) -> Iterator[Overlay]:
        lines = tuple(f"{one.name}: {one.text}" for one in self._said if one.start_ms <= ms < one.end_ms)
        if lines:
            yield _caption(lines[-2:], self._size)
        if self._mark is not None:
            yield self._mark


def _watermark(options: FilmOptions) -> Overlay | None:
    """Return the watermark. Raises ValueError if its image is not one."""
    mark = options.watermark
    if mark is None:
        return None
    side = int(min(options.width, options.height) * _MARK_SHARE)
    drawn = opened_image(mark.image, "watermark") if mark.image else _text(mark.text, side // 3)
    scale = min(1.0 if mark.text else 3 * side / drawn.width, side / drawn.height, 0.9 * options.width / drawn.width)
    drawn = drawn.resize((max(2, int(drawn.width * scale)), max(2, int(drawn.height * scale))))
    drawn.putalpha(drawn.getchannel("A").point(lambda value: round(value * mark.opacity)))
    return _overlay(drawn, _position(mark, drawn.size, (options.width, options.height)))


def opened_image(data: str, what: str) -> Image.Image:
    """Return a PNG or JPEG image from Base64, with its opacity. Raises ValueError, with a sentence about `what`."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=["PNG", "JPEG"])
        if image.width * image.height > _MAX_PIXELS:
            raise ValueError(f"the {what} has too many pixels")
        return image.convert("RGBA")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"the {what} is neither a PNG nor a JPEG image") from error


def _position(mark: Watermark, size: tuple[int, int], picture: tuple[int, int]) -> tuple[int, int]:
    margin = min(picture) // 36
    free = picture[0] - size[0], picture[1] - size[1]
    across = margin if "left" in mark.position else free[0] - margin if "right" in mark.position else free[0] // 2
    down = margin if "top" in mark.position else free[1] - margin if "bottom" in mark.position else free[1] // 2
    return max(0, across), max(0, down)


def _text(text: str, size: int) -> Image.Image:
    """Return text with a shadow, which is readable on any ground."""
    shown = lettering.printable(text, _MARK_LETTERS)
    image = Image.new("RGBA", (lettering.width(shown, size) + 6, size * 3 // 2))
    pen = ImageDraw.Draw(image)
    for offset, colour in ((2, _SHADOW), (0, (*_LETTERS, 255))):
        lettering.draw(pen, (2 + offset, size * 11 // 10 + offset), shown, size, colour)
    return image


@functools.lru_cache(maxsize=32)
def _caption(lines: tuple[str, ...], picture: tuple[int, int]) -> Overlay:
    """Return the box with captions, centred at the bottom."""
    size = max(14, int(min(picture) * _CAPTION_SHARE))
    most = int(picture[0] * _CAPTION_WIDTH)
    broken = [part for line in lines for part in wrapped(line, size, most)][-_MOST_LINES:]
    step, margin = size * 13 // 10, size // 2
    widths = [lettering.width(line, size) for line in broken]
    image = Image.new("RGBA", (max(widths) + 2 * margin, step * len(broken) + margin), _GROUND)
    pen = ImageDraw.Draw(image)
    for index, (line, width) in enumerate(zip(broken, widths, strict=True)):
        at = (image.width - width) / 2, margin // 2 + index * step + size
        lettering.draw(pen, at, line, size, (*_LETTERS, 255))
    return _overlay(image, ((picture[0] - image.width) // 2, picture[1] - image.height - picture[1] // 18))


def wrapped(text: str, size: int, most: int) -> list[str]:
    """Return text in lines of at most `most` pixels, broken at spaces, or between Han and other wide letters."""
    lines = [""]
    for piece in _pieces(lettering.printable(text, _MOST_LETTERS)):
        if lines[-1] and lettering.width((lines[-1] + piece).rstrip(), size) > most:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.strip() for line in lines if line.strip()]


def _pieces(text: str) -> Iterator[str]:
    """Yield parts between which a line may be broken; a wide closing mark stays with the letter before it."""
    piece = ""
    for letter in text:
        is_wide = unicodedata.east_asian_width(letter) in {"W", "F"} and unicodedata.category(letter)[0] != "P"
        if piece and (is_wide or (piece[-1].isspace() and not letter.isspace())):
            yield piece
            piece = ""
        piece += letter
    if piece:
        yield piece


def _overlay(image: Image.Image, at: tuple[int, int]) -> Overlay:
    """Return an image with its opacity as an overlay; sizes and positions become even."""
    width, height = (-(-side // 2) * 2 for side in image.size)
    padded = Image.new("RGBA", (width, height))
    padded.paste(image, (0, 0))
    data = np.asarray(padded)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(data[:, :, :3]), format="rgb24").reformat(format="yuv420p")
    opacity = data[:, :, 3].astype(np.uint16) * 256 // 255
    coarse = opacity.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)).astype(np.uint16)
    planes = []
    for plane, share in zip(frame.planes, (opacity, coarse, coarse), strict=True):
        content = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        planes.append((content * share, 256 - share))
    return Overlay(Box(at[0] // 2 * 2, at[1] // 2 * 2, width, height), tuple(planes))


def _part(plane: Plane, box: Box, width: int) -> Plane:
    shrink = width // plane.shape[1]
    return plane[box.y // shrink : (box.y + box.height) // shrink, box.x // shrink : (box.x + box.width) // shrink]
