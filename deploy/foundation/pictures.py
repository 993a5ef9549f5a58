"""Small pictures as values of settings: the path of a file, or the picture itself as a data: URL."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

TYPES: Mapping[str, str] = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
MAX_BYTES = 100_000
MAX_URL = 140_000
"""The length of the longest data: URL, in characters: Base64 needs four for three bytes."""
_SCHEME = "data:"


class Picture(str):
    """The path of a picture file on this machine, or a picture as data:TYPE;base64,CONTENT."""

    __slots__ = ()

    @property
    def is_inline(self) -> bool:
        return self.startswith(_SCHEME)

    def shown(self) -> str:
        """Return the path, or the picture's type and size."""
        return f"{self.partition(';')[0]}, {len(self) * 3 // 4:,} bytes" if self.is_inline else str(self)


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture's content and its media type."""

    content: bytes
    media_type: str


def read(picture: Picture) -> PictureFile:
    """Return a picture; raises ValueError if it cannot be read or is not what its type says."""
    found = _inline(picture) if picture.is_inline else _file(Path(picture))
    if len(found.content) > MAX_BYTES:
        raise ValueError(f"the picture has more than {MAX_BYTES:,} bytes")
    if not _is(found.content, found.media_type):
        raise ValueError(f"the content is not {found.media_type}")
    return found


def _inline(picture: Picture) -> PictureFile:
    head, _, content = picture.removeprefix(_SCHEME).partition(",")
    media_type, _, coding = head.partition(";")
    if media_type not in TYPES.values() or coding != "base64":
        raise ValueError(f"not a data: URL of {', '.join(TYPES.values())} in Base64")
    try:
        return PictureFile(base64.b64decode(content, validate=True), media_type)
    except binascii.Error as error:
        raise ValueError("the data: URL is not valid Base64") from error


def _file(path: Path) -> PictureFile:
    if path.suffix not in TYPES:
        raise ValueError(f"{path} is not one of {', '.join(TYPES)}")
    try:
        return PictureFile(path.read_bytes(), TYPES[path.suffix])
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error


def _is(content: bytes, media_type: str) -> bool:
    if media_type == "image/png":
        return content.startswith(b"\x89PNG\r\n\x1a\n")
    if media_type == "image/webp":
        return content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    try:
        # Of an administrator; expat bounds what entities expand to.
        return ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    except ElementTree.ParseError:
        return False
