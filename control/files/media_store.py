"""Store of uploaded files, which are spooled and hashed as they arrive, and visible only when complete."""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from control.files import space
from control.files.space import is_no_space, no_space
from control.problem import Problem, not_found
from objects.recording_keys import KeyMissing
from objects.threads import Objects

_IDENTIFIER = re.compile(r"[a-z]+_[0-9a-f]{32}")
_SPOOL_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored file; `head` is its first bytes, which determine its type."""

    size: int
    sha256: str
    head: bytes


class MediaStore:
    """Files in an object store; keys are two levels deep so that no directory grows huge."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def key(self, identifier: str, suffix: str = "") -> str:
        """Return the key of a file; raises Problem 404 if the identifier is malformed."""
        if not _IDENTIFIER.fullmatch(identifier):
            raise not_found("There is no such file.")
        return f"{identifier[-2:]}/{identifier}{suffix}"

    def local(self, identifier: str) -> AbstractAsyncContextManager[Path]:
        """Provide a file as a local path within the context; raises OSError if it is unavailable."""
        return self.objects.local(self.key(identifier))

    async def trouble(self) -> str | None:
        """Return why no file can be stored at the moment, or None if one can."""
        try:
            await self.objects.check()
        except OSError as error:
            # The same words as those of recordings, so that one store that is away is one line of the log.
            what = "The object store" if self.objects.store.name == "s3" else "The file storage"
            return f"{what} cannot be used: {str(error) or 'it does not answer in time'}."
        return await asyncio.to_thread(space.trouble, self.objects.spool)

    async def put(
        self, identifier: str, content: AsyncIterable[bytes], limit: int, exceeded: Problem, expected: int = 0
    ) -> Stored:
        """Store what `content` yields: `expected` bytes, if known.

        Raises `exceeded` beyond `limit` bytes, and Problem 503 or 507 if the file cannot be stored; nothing remains
        then.
        """
        key = self.key(identifier)
        spool = self.objects.spool
        await asyncio.to_thread(spool.mkdir, parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(space.require, spool, expected)
        partial = spool / f"{identifier}.part"
        digest, size, head = hashlib.sha256(), 0, b""
        file = partial.open("wb")
        try:
            with file:
                async for data in content:
                    size += len(data)
                    if size > limit:
                        raise exceeded
                    if len(head) < 4096:
                        head += data[: 4096 - len(head)]
                    await asyncio.to_thread(_append, file, digest, data)
            await self._keep(key, partial, digest.hexdigest())
        finally:
            partial.unlink(missing_ok=True)
        return Stored(size, digest.hexdigest(), head)

    async def put_bytes(self, identifier: str, data: bytes, suffix: str = "") -> None:
        """Store a small generated file; raises Problem 503 if the store refuses it."""
        try:
            await self.objects.put(self.key(identifier, suffix), data)
        except OSError as error:
            raise no_space() if is_no_space(error) else unavailable() from error

    async def remove(self, identifier: str) -> None:
        """Delete a file and its derived files; a missing one is no error."""
        for suffix in ("", ".jpg"):
            await self.objects.remove(self.key(identifier, suffix))

    async def forget_unfinished(self) -> None:
        """Delete files that uploads of killed processes left in the spool."""
        await asyncio.to_thread(_forget, self.objects.spool, time.time() - _SPOOL_SECONDS)

    async def _keep(self, key: str, partial: Path, sha256: str) -> None:
        try:
            await self.objects.put_file(key, partial, sha256=sha256, move=True)
        except OSError as error:
            raise no_space() if is_no_space(error) else unavailable() from error


def unavailable(error: OSError | None = None) -> Problem:
    """Return the problem of a store that does not answer, or of an encrypted recording without its key."""
    if isinstance(error, KeyMissing):
        return Problem(503, "recording_key", f"The {error}.")
    return Problem(503, "storage_unavailable", "The file storage is unavailable at the moment.", {"Retry-After": "5"})


def _append(file: BufferedWriter, digest: "hashlib._Hash", data: bytes) -> None:
    space.require(Path(file.name).parent, len(data))
    file.write(data)
    digest.update(data)


def _forget(spool: Path, before: float) -> None:
    if not spool.is_dir():
        return
    for entry in os.scandir(spool):
        if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
            Path(entry.path).unlink(missing_ok=True)
