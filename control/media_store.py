"""Uploaded files on disk: written beside their place, hashed as they come, visible only when complete."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from control.problem import Problem, not_found

_IDENTIFIER = re.compile(r"[a-z]+_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is in its place. `head` is its beginning, to tell its type by."""

    size: int
    sha256: str
    head: bytes


class MediaStore:
    """A directory, two levels deep so that none grows huge."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, identifier: str, suffix: str = "") -> Path:
        """Return where a file is; raises Problem 404 for what is no identifier."""
        if not _IDENTIFIER.fullmatch(identifier):
            raise not_found("There is no such file.")
        return self._root / identifier[-2:] / f"{identifier}{suffix}"

    async def put(self, identifier: str, content: AsyncIterable[bytes], limit: int) -> Stored:
        """Store what `content` yields; raises Problem 413 beyond `limit` bytes and leaves nothing behind then."""
        path = self.path(identifier)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        partial = path.with_name(f"{path.name}.part")
        digest, size, head = hashlib.sha256(), 0, b""
        file = partial.open("wb")
        try:
            with file:
                async for data in content:
                    size += len(data)
                    if size > limit:
                        raise Problem(413, "too_large", f"The file must not exceed {limit} bytes.")
                    if len(head) < 4096:
                        head += data[: 4096 - len(head)]
                    await asyncio.to_thread(_append, file, digest, data)
                await asyncio.to_thread(_sync, file)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        return Stored(size, digest.hexdigest(), head)

    async def put_bytes(self, identifier: str, data: bytes, suffix: str = "") -> None:
        """Store a small file of our own making."""
        path = self.path(identifier, suffix)
        await asyncio.to_thread(_write, path, data)

    async def remove(self, identifier: str) -> None:
        """Delete a file and what was made from it; none is no error."""
        path = self.path(identifier)
        for one in (path, path.with_name(f"{path.name}.jpg")):
            await asyncio.to_thread(one.unlink, missing_ok=True)


def _append(file: BufferedWriter, digest: "hashlib._Hash", data: bytes) -> None:
    file.write(data)
    digest.update(data)


def _sync(file: BufferedWriter) -> None:
    file.flush()
    os.fsync(file.fileno())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes(data)
    partial.rename(path)
