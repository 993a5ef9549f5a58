"""Encrypted files: a reader, a writer that may go back, and one that only appends. Plain files have the same interface
through `Files`.
"""

import io
import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from foundation import private_file
from objects import sealed_format as form
from objects.recording_keys import DIRECTORY, SUFFIX, KeyMissing, OperatorKeys, RecordingKey, new_key
from objects.sealed_format import CHUNK, KeyOf

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_CACHED = 32
"""The chunks that a writer keeps in memory: muxers go back and forth between the end and a few places."""


class SeekableFile(io.RawIOBase):
    """A position in content of a known size. FFmpeg's custom input and output also use it."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__()
        self.name = name
        self._size = size
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a position before the beginning")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, count: int = -1, /) -> bytes:
        end = self._size if count < 0 else min(self._size, self._position + count)
        data = self._content(self._position, end) if self._position < end else b""
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _content(self, start: int, end: int) -> bytes:
        raise NotImplementedError


class SealedReader(SeekableFile):
    """The content of an encrypted object. `fetch` returns the object's bytes from a position to another."""

    def __init__(self, name: str, stored: int, key_of: KeyOf, fetch: Callable[[int, int], bytes]) -> None:
        header = form.read_header(fetch(0, form.HEADER_BYTES)) if stored >= form.HEADER_BYTES else None
        if header is None or header.kind != form.CHUNKS:
            raise form.NotAuthentic(f"{name} does not begin with a header of chunks")
        super().__init__(name, form.content_size(stored))
        self._cipher = form.Chunks(header, key_of(header.key_id))
        self._fetch = fetch
        self._kept = (0, b"")

    def _content(self, start: int, end: int) -> bytes:
        """Return content; the last chunk is kept, because players and demuxers read in small pieces."""
        at, kept = self._kept
        if at <= start and end <= at + len(kept):
            return kept[start - at : end - at]
        first = start - start % CHUNK
        last = min(self._size, end + -end % CHUNK)
        data = self._cipher.read(first, last, self._size, self._fetch)
        tail = (len(data) - 1) // CHUNK * CHUNK
        self._kept = (first + tail, data[tail:])
        return data[start - first : end - first]


class SealedWriter(SeekableFile):
    """A new encrypted file, in which content may be read and replaced until it is closed."""

    def __init__(self, path: Path, key: RecordingKey) -> None:
        super().__init__(f"encrypted:{path.name}", 0)  # FFmpeg must not open the file beside this object
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        header = form.new_header(form.CHUNKS, key.id)
        self._cipher = form.Chunks(header, key.key)
        self._chunks: OrderedDict[int, bytearray] = OrderedDict()
        self._changed: set[int] = set()
        try:
            _write_at(self._descriptor, header.encode(), 0)
        except OSError:
            os.close(self._descriptor)
            raise

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        view = memoryview(data).cast("B")
        while view and self._size < self._position:  # a gap, which nobody needs for long
            position, self._position = self._position, self._size
            self.write(bytes(min(CHUNK, position - self._size)))
            self._position = position
        written = 0
        while written < len(view):
            index, at = divmod(self._position, CHUNK)
            piece = view[written : written + CHUNK - at]
            self._chunk(index)[at : at + len(piece)] = piece
            self._changed.add(index)
            self._position += len(piece)
            self._size = max(self._size, self._position)
            written += len(piece)
        return written

    def reading(self) -> BinaryIO:
        """Return a reader of the unfinished file, with a position of its own."""
        return _View(self)  # type: ignore[return-value]

    def close(self) -> None:
        """Write the rest and force it to disk. Without this the file cannot be read."""
        if self.closed:
            return
        try:
            last = max(0, (self._size - 1) // CHUNK)
            self._chunk(last)
            self._changed.add(last)
            for index in sorted(self._changed):
                self._store(index, last=index == last)
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)
            super().close()

    def _content(self, start: int, end: int) -> bytes:
        pieces = []
        while start < end:
            index, at = divmod(start, CHUNK)
            pieces.append(bytes(self._chunk(index)[at : at + end - start]))
            start += len(pieces[-1])
        return b"".join(pieces)

    def _chunk(self, index: int) -> bytearray:
        """Return a chunk for reading and changing."""
        found = self._chunks.get(index)
        if found is None:
            content = b""
            if index * CHUNK < self._size:
                length = min(CHUNK, self._size - index * CHUNK) + form.STORED_CHUNK - CHUNK
                content = self._cipher.open(index, os.pread(self._descriptor, length, form.place(index)), last=False)
            found = self._chunks[index] = bytearray(content)
        self._chunks.move_to_end(index)
        while len(self._chunks) > _CACHED:
            oldest = next(iter(self._chunks))
            if oldest in self._changed:
                self._store(oldest, last=False)
            del self._chunks[oldest]
        return found

    def _store(self, index: int, *, last: bool) -> None:
        sealed = self._cipher.seal(index, bytes(self._chunks[index]), last=last)
        _write_at(self._descriptor, sealed, form.place(index))
        self._changed.discard(index)


class _View(SeekableFile):
    """A second position in a file that is being written."""

    def __init__(self, writer: SealedWriter) -> None:
        super().__init__(writer.name, writer._size)
        self._writer = writer

    def read(self, count: int = -1, /) -> bytes:
        self._size = self._writer._size
        return super().read(count)

    def _content(self, start: int, end: int) -> bytes:
        return self._writer._content(start, end)


class Appender:
    """A file to which one process appends. What `write` returned from survives a kill. Every method can raise OSError.

    `size` is that of the content.
    """

    def __init__(self, path: Path, key: RecordingKey | None, *, exists: bool = False) -> None:
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_APPEND if exists else os.O_CREAT | os.O_EXCL)
        self._descriptor = os.open(path, flags, 0o640)
        self._stored = os.fstat(self._descriptor).st_size
        self._key = key
        self._records = None if key is None else form.Records(key.id, key.key)
        self.size = 0

    def write(self, content: bytes) -> None:
        """Append; if the disk refuses, nothing of it remains."""
        data = content if self._records is None else self._records.seal(content)
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError:
            if self._key is not None:
                self._records = form.Records(self._key.id, self._key.key)  # a nonce must not be used again
            os.ftruncate(self._descriptor, self._stored)
            os.lseek(self._descriptor, self._stored, os.SEEK_SET)
            raise
        self._stored += len(data)
        self.size += len(content)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class Files:
    """The files of a recording in `directory`: new ones are encrypted if it has a key; all are read either way.

    `wrapped` has the stored forms of keys by id, which are written again if they are missing beside the files.
    """

    def __init__(
        self,
        keys: Mapping[bytes, bytes] = {},
        *,
        directory: Path | None = None,
        wrapped: Mapping[bytes, bytes] = {},
        missing: KeyMissing | None = None,
    ) -> None:
        self._keys = keys
        self._directory = directory
        self._wrapped = wrapped
        self._missing = missing
        self._first = min(keys, default=None)

    @property
    def encrypts(self) -> bool:
        """True if new files are encrypted."""
        return self._first is not None or self._missing is not None

    @property
    def keys(self) -> Mapping[bytes, bytes]:
        """The keys by id."""
        return self._keys

    def appender(self, path: Path) -> Appender:
        """Create a file for appending. Raises OSError."""
        return Appender(path, self._key())

    def append(self, path: Path, content: bytes) -> None:
        """Append to an existing file, durably. Raises OSError."""
        appender = Appender(path, self._key() if _header(path) is not None else None, exists=True)
        try:
            appender.write(content)
            appender.sync()
        finally:
            appender.close()

    def truncate(self, path: Path, size: int) -> None:
        """Cut appended content after `size` bytes, durably. Raises OSError."""
        kept, stored, rest = 0, size, b""
        if _header(path) is not None:
            stored = 0
            for record in form.read_records(path.read_bytes(), self._key_of):
                if kept + len(record.content) > size:
                    rest = record.content[: size - kept]
                    break
                kept, stored = kept + len(record.content), record.end
        with path.open("r+b") as file:
            file.truncate(stored)
            if rest and (key := self._key()) is not None:
                file.seek(stored)
                file.write(form.Records(key.id, key.key).seal(rest))
            file.flush()
            os.fsync(file.fileno())

    def writer(self, path: Path) -> SealedWriter:
        """Create or replace an encrypted file, in which the writer may go back; it is complete once it is closed."""
        key = self._key()
        assert key is not None, "plain files need no writer"
        return SealedWriter(path, key)

    def sealed(self, content: bytes) -> bytes:
        """Return content as it is stored in a file that is written at once. Raises OSError."""
        key = self._key()
        return content if key is None else form.seal_whole(key.id, key.key, content)

    def read(self, path: Path) -> bytes:
        """Return a file's content. Raises OSError."""
        return form.open_whole(path.read_bytes(), self._key_of)

    def open(self, path: Path) -> BinaryIO:
        """Open a file for reading at any position. Raises OSError."""
        header = _header(path)
        if header is None:
            return path.open("rb")
        if header.kind == form.RECORDS:
            return io.BytesIO(self.read(path))
        return _FileReader(path, self._key_of)  # type: ignore[return-value]

    def source(self, path: Path) -> Path | BinaryIO:
        """Return what FFmpeg opens to read a file: its path if it is not encrypted. Raises OSError."""
        return path if _header(path) is None else self.open(path)

    @contextmanager
    def view(self, path: Path) -> Iterator[memoryview]:
        """Provide a file's content in memory; a plain one is mapped. Raises OSError."""
        if _header(path) is not None or not path.stat().st_size:
            yield memoryview(self.read(path))
            return
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as view,
        ):
            yield view

    def _key(self) -> RecordingKey | None:
        """Return the key of new files, after making sure that its stored form is on the disk. Raises OSError."""
        if self._first is None:
            if self._missing is not None:
                raise self._missing
            return None
        if self._directory is not None:
            path = self._directory / DIRECTORY / f"{self._first.hex()}{SUFFIX}"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                private_file.create(path, self._wrapped[self._first])
                for directory in (path.parent, self._directory):
                    sync_directory(directory)
        return RecordingKey(self._first, self._keys[self._first])

    def _key_of(self, key_id: bytes) -> bytes:
        try:
            return self._keys[key_id]
        except KeyError:
            raise self._missing or KeyMissing(f"the key {key_id.hex()} of this recording is missing") from None


PLAIN = Files()
"""Files of recordings that are not encrypted."""


def files_of(directory: Path, operator: OperatorKeys, *, is_new: bool = False) -> Files:
    """Return the files of a recording on this disk; one that is new gets a key, if recordings are encrypted.

    Without the operator's key of an encrypted recording, only its use fails. Raises OSError.
    """
    keys: dict[bytes, bytes] = {}
    wrapped: dict[bytes, bytes] = {}
    missing = None
    for path in sorted((directory / DIRECTORY).glob(f"*{SUFFIX}")):
        with suppress(FileNotFoundError):  # deleted meanwhile
            stored = path.read_bytes()
            try:
                key = operator.unwrap(directory.name, stored)
            except KeyMissing as error:
                missing = error
            else:
                keys[key.id], wrapped[key.id] = key.key, stored
    if is_new and operator.encrypts and not keys and missing is None:
        key = new_key()
        keys[key.id], wrapped[key.id] = key.key, operator.wrap(directory.name, key)
    return Files(keys, directory=directory, wrapped=wrapped, missing=missing)


class _FileReader(SealedReader):
    """An encrypted file on this disk."""

    def __init__(self, path: Path, key_of: KeyOf) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(self._descriptor).st_size
            super().__init__(str(path), size, key_of, lambda s, e: os.pread(self._descriptor, e - s, s))
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _header(path: Path) -> form.Header | None:
    with path.open("rb") as file:
        return form.read_header(file.read(form.HEADER_BYTES))


def _write_at(descriptor: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, position)
        view, position = view[count:], position + count


def sync_directory(path: Path) -> None:
    """Sync a directory's entries to disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
