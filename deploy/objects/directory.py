"""Objects as files below a directory: written to a temporary file, synced to disk, then renamed."""

import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from objects.store import ObjectInfo, Room, checked_key, checked_prefix

_PARTIAL = ".part"
_COPY_BYTES = 1 << 20
_PROBE = "storage-probe"


class DirectoryStore:
    """Files below `root`, which is created on the first write."""

    name = "directory"

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        partial = self._partial(path)
        try:
            partial.write_bytes(data)
            self._commit(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def put_file(self, key: str, path: Path, *, sha256: str = "", move: bool = False) -> None:
        target = self._path(key)
        if path == target:
            return
        if move and path.stat().st_dev == _existing(target.parent).stat().st_dev:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._commit(path, target)
            return
        partial = self._partial(target)
        try:
            with path.open("rb") as source, partial.open("wb") as copy:
                shutil.copyfileobj(source, copy, _COPY_BYTES)
            self._commit(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    def info(self, key: str) -> ObjectInfo:
        return _info(key, self._path(key))

    def read(self, key: str, start: int, end: int, tag: str = "") -> bytes:
        with self._path(key).open("rb") as file:
            status = os.fstat(file.fileno())
            if tag and _tag(status) != tag:
                raise OSError(f"{key} was replaced while it was being read")
            file.seek(start)
            data = file.read(end - start)
        if len(data) != end - start:
            raise OSError(f"{key} ends before {end}")
        return data

    def fetch(self, key: str, path: Path) -> None:
        partial = path.with_name(f"{path.name}{_PARTIAL}")
        try:
            with self._path(key).open("rb") as source, partial.open("wb") as copy:
                shutil.copyfileobj(source, copy, _COPY_BYTES)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        top = self._root / checked_prefix(prefix)
        for directory, _, names in os.walk(top):
            for name in names:
                path = Path(directory) / name
                key = path.relative_to(self._root).as_posix()
                if name.endswith((_PARTIAL, ".tmp")) or not _is_key(key):
                    continue
                try:
                    yield _info(key, path)
                except FileNotFoundError:  # deleted meanwhile
                    continue

    def directories(self) -> Iterator[str]:
        if not self._root.is_dir():
            return
        yield from sorted(path.name for path in self._root.iterdir() if path.is_dir() and _is_key(path.name))

    def remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def remove_all(self, prefix: str) -> None:
        if not checked_prefix(prefix):
            raise ValueError("a prefix must not be empty")
        try:
            shutil.rmtree(self._root / prefix)
        except FileNotFoundError:
            return

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    def public_link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        return None

    def room(self) -> Room | None:
        usage = shutil.disk_usage(_existing(self._root))
        return Room(usage.free, usage.total)

    def abandon(self, age: float) -> int:
        return 0

    def check(self) -> None:
        self.put(_PROBE, b"probe")
        self.remove(_PROBE)

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _partial(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{_PARTIAL}")

    def _commit(self, partial: Path, path: Path) -> None:
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _existing(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def _is_key(text: str) -> bool:
    try:
        checked_key(text)
    except ValueError:
        return False
    return True


def _info(key: str, path: Path) -> ObjectInfo:
    status = path.stat()
    return ObjectInfo(key, status.st_size, _tag(status), status.st_mtime)


def _tag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"
