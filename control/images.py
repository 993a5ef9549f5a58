"""Avatars and thumbnails: decoded and encoded anew in threads of their own, so that nothing of the upload survives.

An image's size is read before its pixels, and one that is too large is refused: a few bytes can claim gigapixels.
"""

import asyncio
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
from PIL import Image, ImageOps, UnidentifiedImageError

_MAX_PIXELS = 40_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_AVATAR = 256
_THUMBNAIL = 480
_threads = ThreadPoolExecutor(1, thread_name_prefix="images")


async def avatar(data: bytes) -> bytes:
    """Return a square JPEG; raises ValueError for what is no image of a known format, or too large."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _avatar, data)


async def thumbnail(path: Path, content_type: str) -> bytes | None:
    """Return a JPEG of an image or of a video's first picture, None when there is none to be had."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _thumbnail, path, content_type)


def _avatar(data: bytes) -> bytes:
    return _encode(ImageOps.fit(_open(io.BytesIO(data)), (_AVATAR, _AVATAR)))


def _thumbnail(path: Path, content_type: str) -> bytes | None:
    try:
        if content_type.startswith("image/"):
            with path.open("rb") as file:
                image = _open(file)
        elif content_type.startswith("video/"):
            image = _first_picture(path)
        else:
            return None
    except ValueError:
        return None
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return _encode(image)


def _open(file: io.BytesIO | io.BufferedReader) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=_FORMATS)
            if image.width * image.height > _MAX_PIXELS:
                raise ValueError("the image has too many pixels")
            image.load()
            return ImageOps.exif_transpose(image).convert("RGB")
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise ValueError("this is no image that can be read") from error


def _first_picture(path: Path) -> Image.Image:
    try:
        with av.open(str(path), "r", options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.video[0]
            if stream.width * stream.height > _MAX_PIXELS:
                raise ValueError("the video has too many pixels")
            for frame in container.decode(stream):
                return Image.fromarray(frame.to_ndarray(format="rgb24"))
    except (av.FFmpegError, IndexError) as error:
        raise ValueError("this is no video that can be read") from error
    raise ValueError("the video has no picture")


def _encode(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
