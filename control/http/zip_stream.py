"""Streamed ZIP archives; nothing is buffered. Media is not compressed, since it does not shrink."""

import asyncio
import time
import zipfile
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass

from objects.store import ObjectStore
from objects.threads import Objects

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """An object or given content, and its name within the archive."""

    name: str
    key: str = ""
    data: bytes = b""


class _Sink:
    """Unseekable file that zipfile writes to."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def parts(store: ObjectStore, entries: list[Entry]) -> Generator[bytes, None, None]:
    """Yield the archive in pieces; raises OSError if an object was deleted or changed."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry in entries:
            if not entry.key:
                archive.writestr(entry.name, entry.data)
                continue
            found = store.info(entry.key)
            made = time.localtime(max(found.modified, 315_619_200))  # ZIP has no times before 1980
            info = zipfile.ZipInfo(entry.name, made[:6])
            info.file_size = found.size
            with archive.open(info, "w", force_zip64=True) as target:
                for start in range(0, found.size, _CHUNK):
                    target.write(store.read(entry.key, start, min(start + _CHUNK, found.size), found.tag))
                    yield sink.take()
            yield sink.take()
    yield sink.take()


async def of_pages(pages: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    """Yield a compressed archive of files that are generated one after the other."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        async for name, data in pages:
            await asyncio.to_thread(archive.writestr, name, data)
            yield sink.take()
    yield sink.take()


async def stream(objects: Objects, entries: list[Entry]) -> AsyncIterator[bytes]:
    """Yield the archive in pieces, without blocking the event loop."""
    pieces = parts(objects.store, entries)
    try:
        while (piece := await objects.call(next, pieces, None)) is not None:
            if piece:
                yield piece
    finally:
        pieces.close()
