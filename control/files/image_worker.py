"""Worker process that makes one small picture of an uploaded image, and exits.

Started as `python -m control.files.image_worker FD KIND MEDIA_FD` with a Unix stream socket at FD and the file, opened
for reading, at MEDIA_FD; KIND is avatar or image. It is sandboxed before it reads the file's first byte. It answers
with a JPEG, or with the reason for a failure.

An image's size is read before its pixels, and an image that is too large is refused: a few bytes can claim gigapixels.
"""

import functools
import io
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from PIL import (
    ExifTags,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from foundation import confinement

MAX_PIXELS = 40_000_000
MEMORY_BYTES = 1 << 30
CPU_SECONDS = 30
NICE = 10
# Imported while files can be opened: plugins of the formats, of multi-picture JPEGs from phones, and of EXIF.
_PLUGINS = (PngImagePlugin, JpegImagePlugin, WebPImagePlugin, GifImagePlugin, MpoImagePlugin, TiffImagePlugin)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_AVATAR = 256
_THUMBNAIL = 480
Maker = Callable[[IO[bytes]], bytes]


def make(file: IO[bytes], kind: str) -> bytes:
    """Return a JPEG; raises ValueError if the image is unreadable or too large."""
    image = _read(file)
    return encoded(ImageOps.fit(image, (_AVATAR, _AVATAR))) if kind == "avatar" else thumbnail(image)


def thumbnail(image: Image.Image) -> bytes:
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return encoded(image)


def encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def serve(channel: socket.socket, file: IO[bytes], maker: Maker, examples: Iterable[IO[bytes]]) -> None:
    """Sandbox this process, then answer with the result of `maker` for `file`.

    It processes `examples` before the sandbox closes, so that everything loaded on first use is loaded.
    """
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=NICE, cpu_seconds=CPU_SECONDS)
    for example in examples:
        maker(example)
    confinement.confine()
    try:
        answer = maker(file)
    except (ValueError, MemoryError) as error:
        answer = (str(error) or "the picture requires too much memory").encode()
    channel.sendall(answer)


def _read(file: IO[bytes]) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(file, formats=_FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise ValueError("the image has too many pixels")
            image.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))  # decodes a JPEG at a fraction of its size
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image.convert("RGB")
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise ValueError("the image cannot be read") from error


def _examples() -> Iterator[IO[bytes]]:
    """Yield a rotated image of each format."""
    for form in _FORMATS:
        example, image = io.BytesIO(), Image.new("RGB", (16, 16))
        exif = image.getexif()
        exif[ExifTags.Base.Orientation] = 6
        image.save(example, form, exif=exif)
        yield example


def main(arguments: list[str]) -> None:
    """Send the result and exit."""
    descriptor, kind, media = int(arguments[0]), arguments[1], int(arguments[2])
    with socket.socket(fileno=descriptor) as channel, os.fdopen(media, "rb") as file:
        serve(channel, file, functools.partial(make, kind=kind), _examples())


if __name__ == "__main__":
    main(sys.argv[1:])
