"""The object store: immutable objects under keys, written atomically.

Every call blocks; an event loop calls through `objects.threads`. A refusal raises OSError, a missing object
FileNotFoundError. Keys are relative paths with `/`; two stores with different prefixes can share a bucket.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}/)*[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_MAX_KEY = 700


class NoAnswer(OSError):
    """The store does not answer. `reason` says why, the same for every key."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Metadata of an object: `tag` changes with the content; `modified` is in Unix seconds."""

    key: str
    size: int
    tag: str
    modified: float


@dataclass(frozen=True, slots=True)
class Room:
    """The free space of a store that reports it, in bytes."""

    free: int
    total: int


class ObjectStore(Protocol):
    """The interface of both kinds of store."""

    name: str
    """The name shown to operators: `directory` or `s3`."""

    def put(self, key: str, data: bytes) -> None:
        """Store a small object, replacing any with that key."""

    def put_file(self, key: str, path: Path, *, sha256: str = "", move: bool = False) -> None:
        """Store a file's content; with `move`, the file may no longer exist afterwards."""

    def info(self, key: str) -> ObjectInfo:
        """Return the metadata of an object; raises FileNotFoundError."""

    def read(self, key: str, start: int, end: int, tag: str = "") -> bytes:
        """Return bytes `start` to `end`, which must be within the object; raises OSError if its tag has changed."""

    def fetch(self, key: str, path: Path) -> None:
        """Write an object's content to `path` atomically."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, which is empty or ends with `/`."""

    def directories(self) -> Iterator[str]:
        """Yield the first parts of all keys that have more than one."""

    def remove(self, key: str) -> None:
        """Delete an object, if it exists."""

    def remove_all(self, prefix: str) -> None:
        """Delete the objects whose keys begin with `prefix`, which ends with `/`."""

    def local_path(self, key: str) -> Path | None:
        """Return an object's file, None if objects are not files."""

    def public_link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a temporary signed link for reading an object without credentials; None if links are unsupported.

        `headers` are those of the response, under the names of S3's request parameters (`response-content-type`, …).
        """

    def room(self) -> Room | None:
        """Return the free space, None if the store does not report it."""

    def abandon(self, age: float) -> int:
        """Abort unfinished uploads older than the given number of seconds; return how many there were."""

    def check(self) -> None:
        """Write, read and delete a small object; raises OSError that describes the problem."""


def read_all(store: ObjectStore, key: str) -> bytes:
    """Return an object's content; raises FileNotFoundError, and OSError like `read`."""
    found = store.info(key)
    return store.read(key, 0, found.size, found.tag)


def checked_key(key: str) -> str:
    """Return `key` if it is safe as a path; raises ValueError if it could lead outside the store."""
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key[:64]!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """Return `prefix` if it is empty, or a key followed by a slash; raises ValueError otherwise."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"not a prefix: {prefix[:64]!r}")
        checked_key(prefix[:-1])
    return prefix
