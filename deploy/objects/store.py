"""The object store: whole, immutable objects under keys. Nothing of an object is visible before all of it is.

Every call blocks; from an event loop they go through `objects.threads`. Whatever a store refuses is an OSError, what is
not there a FileNotFoundError. Keys are relative paths with `/`; two stores that differ in their prefix share a bucket.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}/)*[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_MAX_KEY = 700


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """`tag` changes with the content; `modified` is in Unix seconds."""

    key: str
    size: int
    tag: str
    modified: float


@dataclass(frozen=True, slots=True)
class Room:
    """The free space of a store that knows its size, in bytes."""

    free: int
    total: int


class ObjectStore(Protocol):
    """The interface of both kinds of store."""

    name: str
    """The name for operators: `directory` or `s3`."""

    def put(self, key: str, data: bytes) -> None:
        """Store a small object, replacing one of that key."""

    def put_file(self, key: str, path: Path, *, sha256: str = "", move: bool = False) -> None:
        """Store a file's content; with `move` the file may be gone afterwards."""

    def info(self, key: str) -> ObjectInfo:
        """Return the metadata of an object; raises FileNotFoundError."""

    def read(self, key: str, start: int, end: int, tag: str = "") -> bytes:
        """Return bytes `start` up to `end`, which lie within the object; OSError when it is not `tag` any more."""

    def fetch(self, key: str, path: Path) -> None:
        """Write an object's content to `path`, which appears only whole."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, which is empty or ends with `/`."""

    def directories(self) -> Iterator[str]:
        """Yield the first parts of all keys that have more than one."""

    def remove(self, key: str) -> None:
        """Delete an object; none is no error."""

    def remove_all(self, prefix: str) -> None:
        """Delete the objects whose keys begin with `prefix`, which ends with `/`."""

    def local_path(self, key: str) -> Path | None:
        """Return the file that an object is, None where objects are no files."""

    def public_link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a signed link by which anyone may read an object for a while; None where no link leads to the store.

        `headers` are those of the answer, by the names of S3's request parameters (`response-content-type`, …).
        """

    def room(self) -> Room | None:
        """Return the space left, None if the store does not report it."""

    def abandon(self, age: float) -> int:
        """Give up uploads that began so many seconds ago and never ended; return how many there were."""

    def check(self) -> None:
        """Write, read and delete a small object; raises OSError with what is wrong."""


def read_all(store: ObjectStore, key: str) -> bytes:
    """Return an object's content; raises FileNotFoundError, and OSError like `read`."""
    found = store.info(key)
    return store.read(key, 0, found.size, found.tag)


def checked_key(key: str) -> str:
    """Return `key` if it may become a path; ValueError when it could lead anywhere else."""
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key[:64]!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """Return `prefix` if it is empty, or a key with a slash behind it; ValueError otherwise."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"not a prefix: {prefix[:64]!r}")
        checked_key(prefix[:-1])
    return prefix
