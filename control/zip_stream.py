"""A ZIP archive as it goes, stored not deflated: media does not shrink, and nothing is kept in memory or on disk."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A file and its name within the archive."""

    name: str
    path: Path


class _Sink:
    """The unseekable file that zipfile writes to."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def parts(entries: list[Entry]) -> Generator[bytes, None, None]:
    """Yield the archive in pieces; raises OSError when a file is gone."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry in entries:
            info = zipfile.ZipInfo.from_file(entry.path, entry.name, strict_timestamps=False)
            with entry.path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while data := source.read(_CHUNK):
                    target.write(data)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


async def stream(entries: list[Entry]) -> AsyncIterator[bytes]:
    """Yield the archive without holding up the loop."""
    pieces = parts(entries)
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            if piece:
                yield piece
    finally:
        pieces.close()
