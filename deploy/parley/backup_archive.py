"""Format of a backup: encrypted objects in a store, and an index that is written last.

A backup named NAME has `NAME/header.json` (format and salt, readable), `NAME/1`, `NAME/2`, … (one object for the
database, each key and each stored object) and `NAME/index`, all encrypted but the header. The index names everything
with its size and SHA-256. A backup without an index is incomplete.
"""

import hashlib
import os
import re
import signal
import sys
import tempfile
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from objects.store import ObjectStore, read_all
from parley.sealed_stream import SALT_BYTES, NotAuthentic, key_of, seal, unseal

FORMAT = 1
MIN_KEY = 16
_NAME = re.compile(r"parley-\d{8}-\d{6}")
_NAME_FORMAT = "parley-%Y%m%d-%H%M%S"
_GIVEN_UP_SECONDS = 86400.0
_HEADER, _INDEX = "header.json", "index"
Kind = Literal["database", "key", "recordings", "media"]


class BackupError(Exception):
    """The backup cannot be made or used; the message says why."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `header.json`; the salt is in hexadecimal."""

    format: int
    salt: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the backup: its number in the archive, its original key, its size, and the SHA-256 of its content."""

    number: int
    kind: Kind
    key: str
    size: int
    sha256: str


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `index`. `migrations` are those that the database had."""

    made_unix: int
    version: str
    migrations: list[str]
    items: list[Item]


class Writer:
    """Writes a new backup; files are encrypted in `scratch`, which needs space for the largest of them."""

    def __init__(self, store: ObjectStore, passphrase: str, scratch: Path) -> None:
        self.name = time.strftime(_NAME_FORMAT, time.gmtime())
        self._store = store
        self._scratch = scratch
        self._items: list[Item] = []
        salt = os.urandom(SALT_BYTES)
        self._key = key_of(passphrase, salt)
        if self.name in store.directories():
            raise BackupError(f"{self.name} already exists")
        store.put(f"{self.name}/{_HEADER}", msgspec.json.encode(Header(format=FORMAT, salt=salt.hex())))

    def add(self, kind: Kind, key: str, data: Iterable[bytes]) -> Item:
        """Store an item under the next number. Raises OSError."""
        number, size, digest = len(self._items) + 1, 0, hashlib.sha256()

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in data:
                size += len(piece)
                digest.update(piece)
                yield piece

        self._put(str(number), counted())
        item = Item(number=number, kind=kind, key=key, size=size, sha256=digest.hexdigest())
        self._items.append(item)
        return item

    def finish(self, version: str, migrations: list[str]) -> Index:
        """Write the index, which makes the backup complete."""
        index = Index(made_unix=int(time.time()), version=version, migrations=migrations, items=self._items)
        self._put(_INDEX, [msgspec.json.encode(index)])
        return index

    def abandon(self) -> None:
        """Delete what was written."""
        self._store.remove_all(f"{self.name}/")

    def _put(self, name: str, data: Iterable[bytes]) -> None:
        descriptor, path = tempfile.mkstemp(dir=self._scratch)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(seal(self._key, name, data))
            self._store.put_file(f"{self.name}/{name}", Path(path), move=True)
        finally:
            Path(path).unlink(missing_ok=True)


class Reader:
    """Reads a complete backup.

    Raises BackupError if there is none of that name, if its format is unknown, and if the key is wrong.
    """

    def __init__(self, store: ObjectStore, name: str, passphrase: str, scratch: Path) -> None:
        self.name = name
        self._store = store
        self._scratch = scratch
        try:
            header = msgspec.json.decode(read_all(store, f"{name}/{_HEADER}"), type=Header)
            salt = bytes.fromhex(header.salt)
        except FileNotFoundError as error:
            raise BackupError(f"there is no backup {name}") from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise BackupError(f"{name}/{_HEADER} is damaged: {error}") from error
        if header.format != FORMAT:
            raise BackupError(f"{name} has format {header.format}, this release reads format {FORMAT}")
        self._key = key_of(passphrase, salt)
        try:
            self.index = msgspec.json.decode(b"".join(self._unseal(_INDEX)), type=Index)
        except FileNotFoundError as error:
            raise BackupError(f"{name} is incomplete: it has no index") from error
        except msgspec.MsgspecError as error:
            raise BackupError(f"{name}/{_INDEX} is damaged: {error}") from error

    def read(self, item: Item) -> Iterator[bytes]:
        """Yield the content of an item; raises BackupError at the end if it is not what was written."""
        size, digest = 0, hashlib.sha256()
        for piece in self._unseal(str(item.number)):
            size += len(piece)
            digest.update(piece)
            yield piece
        if (size, digest.hexdigest()) != (item.size, item.sha256):
            raise BackupError(f"{self.name}/{item.number} ({item.key}) does not match the index")

    def to_file(self, item: Item) -> Path:
        """Write the content of an item to a new file in `scratch`; return its path."""
        descriptor, path = tempfile.mkstemp(dir=self._scratch)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(self.read(item))
        return Path(path)

    def _unseal(self, name: str) -> Iterator[bytes]:
        with tempfile.TemporaryDirectory(dir=self._scratch) as directory:
            path = self._store.local_path(f"{self.name}/{name}")
            if path is None:
                path = Path(directory) / "object"
                self._store.fetch(f"{self.name}/{name}", path)
            with path.open("rb") as file:
                try:
                    yield from unseal(self._key, name, file.read)
                except NotAuthentic as error:
                    raise BackupError(f"{self.name}/{error}") from error


def complete(store: ObjectStore) -> list[str]:
    """Return the names of the complete backups in a store, the oldest first."""
    return [name for name in _names(store) if _is_complete(store, name)]


def given_up(store: ObjectStore, now: float) -> list[str]:
    """Return the names of incomplete backups that were started over a day ago."""
    return [name for name in _names(store) if now - begun(name) > _GIVEN_UP_SECONDS and not _is_complete(store, name)]


def begun(name: str) -> float:
    """Return the time in a backup's name, in Unix seconds."""
    return float(timegm(time.strptime(name, _NAME_FORMAT)))


def end_tidily() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it deletes unfinished files."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _names(store: ObjectStore) -> list[str]:
    return [name for name in sorted(store.directories()) if _NAME.fullmatch(name)]


def _is_complete(store: ObjectStore, name: str) -> bool:
    try:
        store.info(f"{name}/{_INDEX}")
    except FileNotFoundError:
        return False
    return True
