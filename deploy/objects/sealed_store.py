"""The store of recordings as its readers see it: encrypted objects have their content, and sizes are those of content.

Objects of a recording with a key are encrypted as they are stored. Lists have the stored sizes.
"""

import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from objects import sealed_format as form
from objects.recording_keys import DIRECTORY, OperatorKeys, RecordingKey, key_name
from objects.sealed_file import Files, SeekableFile
from objects.store import ObjectInfo, ObjectStore, Room, read_all

_PIECE = 1 << 20
_KNOWN = 1024
"""The headers and keys that are kept in memory."""


class _Known(NamedTuple):
    """The stored size of an object with a tag, and its header, None if it is not encrypted."""

    tag: str
    size: int
    header: form.Header | None


class SealedStore:
    """The content of `store`. Raises OSError like it, and KeyMissing without the operator's key."""

    def __init__(self, store: ObjectStore, operator: OperatorKeys) -> None:
        self.stored = store
        self.name = store.name
        self._operator = operator
        self._headers: OrderedDict[str, _Known] = OrderedDict()
        self._keys: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    def put(self, key: str, data: bytes) -> None:
        found = self._first_key(key)
        self.stored.put(key, data if found is None else form.seal_whole(found.id, found.key, data))

    def put_file(self, key: str, path: Path, *, sha256: str = "", move: bool = False) -> None:
        found = self._first_key(key)
        if found is None:
            self.stored.put_file(key, path, sha256=sha256, move=move)
            return
        with tempfile.TemporaryDirectory(dir=path.parent) as directory:
            sealed = Path(directory) / "sealed"
            with path.open("rb") as source, Files({found.id: found.key}).writer(sealed) as copy:
                while data := source.read(form.CHUNK):
                    copy.write(data)
            self.stored.put_file(key, sealed, move=True)
        if move:
            path.unlink()

    def info(self, key: str) -> ObjectInfo:
        found = self.stored.info(key)
        header = self._known(found).header
        if header is None:
            return found
        if header.kind == form.CHUNKS:
            return replace(found, size=form.content_size(found.size))
        return replace(found, size=len(self._whole(key)))

    def read(self, key: str, start: int, end: int, tag: str = "") -> bytes:
        found = self._headers.get(key)
        if found is None or not tag or found.tag != tag:
            found = self._known(self.stored.info(key))
        header = found.header
        if header is None:
            return self.stored.read(key, start, end, tag)
        if tag and found.tag != tag:
            raise OSError(f"{key} was replaced while it was being read")
        if header.kind == form.CHUNKS:
            size, cipher = form.content_size(found.size), form.Chunks(header, self._key_of(key, header.key_id))
            data = cipher.read(start, min(end, size), size, lambda s, e: self.stored.read(key, s, e, found.tag))
        else:
            data = self._whole(key)[start:end]
        if len(data) != end - start:
            raise OSError(f"{key} ends before {end}")
        return data

    def fetch(self, key: str, path: Path) -> None:
        self.stored.fetch(key, path)
        with path.open("rb") as file:
            header = form.read_header(file.read(form.HEADER_BYTES))
        if header is not None:
            keys = {header.key_id: self._key_of(key, header.key_id)}
            partial = path.with_name(f"{path.name}.part")
            with Files(keys).open(path) as source, partial.open("wb") as copy:
                while data := source.read(form.CHUNK):
                    copy.write(data)
            partial.replace(path)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading at any position, without a copy on the disk; raises FileNotFoundError."""
        return _ObjectReader(self, key)  # type: ignore[return-value]

    def files(self, recording: str) -> Files:
        """Return access to copies of a recording's files in other directories."""
        keys = [self._operator.unwrap(recording, read_all(self.stored, one)) for one in self._key_names(recording)]
        return Files({one.id: one.key for one in keys})

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self.stored.list(prefix)

    def directories(self) -> Iterator[str]:
        return self.stored.directories()

    def remove(self, key: str) -> None:
        self.stored.remove(key)

    def remove_all(self, prefix: str) -> None:
        """Delete the keys of a recording first: without them the rest cannot be read, whatever becomes of it."""
        recording, slash, rest = prefix.partition("/")
        if slash and not rest:
            self.stored.remove_all(f"{recording}/{DIRECTORY}/")
            for known in [one for one in self._keys if one[0] == recording]:
                self._keys.pop(known, None)
        self.stored.remove_all(prefix)

    def local_path(self, key: str) -> Path | None:
        """Return an object's file, None if objects are not files, or the file is encrypted."""
        path = self.stored.local_path(key)
        try:
            if path is not None and _is_of_recording(key) and form.read_header(_beginning(path)) is not None:
                return None
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return path
        return path

    def public_link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a link into the store, None for an encrypted object: browsers could not read it."""
        if self._known(self.stored.info(key)).header is not None:
            return None
        return self.stored.public_link(key, seconds, headers)

    def room(self) -> Room | None:
        return self.stored.room()

    def abandon(self, age: float) -> int:
        return self.stored.abandon(age)

    def check(self) -> None:
        self.stored.check()

    def _known(self, found: ObjectInfo) -> _Known:
        known = self._headers.get(found.key)
        if known is None or known.tag != found.tag:
            header = None
            if found.size >= form.HEADER_BYTES and _is_of_recording(found.key):
                header = form.read_header(self.stored.read(found.key, 0, form.HEADER_BYTES, found.tag))
            known = self._headers[found.key] = _Known(found.tag, found.size, header)
            _forget_oldest(self._headers)
        return known

    def _whole(self, key: str) -> bytes:
        return form.open_whole(read_all(self.stored, key), lambda key_id: self._key_of(key, key_id))

    def _key_of(self, key: str, key_id: bytes) -> bytes:
        recording = key.partition("/")[0]
        found = self._keys.get((recording, key_id))
        if found is None:
            name = key_name(recording, key_id)
            try:
                stored = read_all(self.stored, name)
            except FileNotFoundError as error:
                raise OSError(f"{key} is encrypted, and its key {name} is missing") from error
            found = self._keys[recording, key_id] = self._operator.unwrap(recording, stored).key
            _forget_oldest(self._keys)
        return found

    def _first_key(self, key: str) -> RecordingKey | None:
        """Return the key for a new object, None for one that belongs to no encrypted recording."""
        recording, slash, _ = key.partition("/")
        name = min(self._key_names(recording), default=None) if slash else None
        return None if name is None else self._operator.unwrap(recording, read_all(self.stored, name))

    def _key_names(self, recording: str) -> tuple[str, ...]:
        return tuple(found.key for found in self.stored.list(f"{recording}/{DIRECTORY}/"))


class _ObjectReader(SeekableFile):
    """An object that is read in pieces."""

    def __init__(self, store: SealedStore, key: str) -> None:
        found = store.info(key)
        super().__init__(key, found.size)
        self._store = store
        self._tag = found.tag
        self._kept = (0, b"")

    def _content(self, start: int, end: int) -> bytes:
        at, kept = self._kept
        if not (at <= start and end <= at + len(kept)):
            at, kept = start, self._store.read(self.name, start, min(self._size, max(end, start + _PIECE)), self._tag)
            self._kept = (at, kept)
        return kept[start - at : end - at]


def _is_of_recording(key: str) -> bool:
    """Return False for live streams and lists, whose readers are in a hurry."""
    return "/" in key and not key.startswith("_")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(form.HEADER_BYTES)


def _forget_oldest(known: OrderedDict[Any, Any]) -> None:
    while len(known) > _KNOWN:
        known.popitem(last=False)
