"""The store for an event loop: calls use a few separate threads, so a slow store delays nothing else.

A download is read in pieces, one call each, so a client that reads slowly occupies neither a thread nor a connection to
the store, and only one piece is in memory.
"""

import asyncio
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from objects.store import ObjectInfo, ObjectStore, Room, read_all

_THREADS = 8
_PIECE = 1 << 20
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Objects:
    """An object store with asynchronous calls. `spool` is the directory of copies for tools that need a file."""

    def __init__(self, store: ObjectStore, spool: Path, threads: ThreadPoolExecutor) -> None:
        self.store = store
        self.spool = spool
        self._threads = threads

    async def call(self, function: Callable[_P, _R], *args: _P.args, **named: _P.kwargs) -> _R:
        """Run a blocking call in one of the store's threads."""
        work = functools.partial(function, *args, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def put(self, key: str, data: bytes) -> None:
        await self.call(self.store.put, key, data)

    async def put_file(self, key: str, path: Path, *, sha256: str = "", move: bool = False) -> None:
        await self.call(self.store.put_file, key, path, sha256=sha256, move=move)

    async def info(self, key: str) -> ObjectInfo:
        return await self.call(self.store.info, key)

    async def get(self, key: str) -> bytes:
        """Return a small object."""
        return await self.call(self._get, key)

    async def list(self, prefix: str = "") -> list[ObjectInfo]:
        return await self.call(lambda: [*self.store.list(prefix)])

    async def remove(self, key: str) -> None:
        await self.call(self.store.remove, key)

    async def remove_all(self, prefix: str) -> None:
        await self.call(self.store.remove_all, prefix)

    async def public_link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a signed link to an object in the store itself; None if links are unsupported."""
        return await self.call(self.store.public_link, key, seconds, headers)

    async def room(self) -> Room | None:
        return await self.call(self.store.room)

    async def abandon(self, age: float) -> int:
        return await self.call(self.store.abandon, age)

    async def check(self, seconds: float = 5.0) -> None:
        """Raise OSError if the store cannot be used, TimeoutError (an OSError) if it does not answer in time."""
        async with asyncio.timeout(seconds):
            await self.call(self.store.check)

    async def pieces(self, key: str, start: int, end: int, tag: str = "") -> AsyncIterator[bytes]:
        """Yield bytes `start` to `end`; raises OSError if the object changes meanwhile."""
        while start < end:
            data = await self.call(self.store.read, key, start, min(end, start + _PIECE), tag)
            start += len(data)
            yield data

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """Provide an object as a file: its own, or a temporary copy. Raises FileNotFoundError, OSError."""
        path = self.store.local_path(key)
        if path is not None:
            await self.info(key)
            yield path
            return
        await self.call(self.spool.mkdir, parents=True, exist_ok=True, mode=0o700)
        directory = Path(await self.call(tempfile.mkdtemp, dir=self.spool))
        try:
            copy = directory / Path(key).name
            await self.call(self.store.fetch, key, copy)
            yield copy
        finally:
            await self.call(shutil.rmtree, directory, ignore_errors=True)

    def _get(self, key: str) -> bytes:
        path = self.store.local_path(key)
        if path is not None:
            return path.read_bytes()
        return read_all(self.store, key)


def threads() -> ThreadPoolExecutor:
    """Return the process's threads for stores."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")
