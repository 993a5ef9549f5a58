"""The format of encrypted objects: AES-256-GCM with a key for each object, derived from its recording's key and a salt.

    header    "PLYSEAL", the kind (1 byte), the id of the recording's key (8), a salt (16)
    chunks    kind C: nonce (12), 64 KiB encrypted, tag (16); the last chunk is shorter, or empty
    records   kind R: length (4), that many bytes encrypted, tag (16); a header may follow, with records of its own

Chunks can be read from any position, and replaced while an object is being written. Each is bound to its number, and to
whether it is the last, so that none can be moved and none is missing. Records can only be appended. A kill can cut the
last one, and whoever continues begins with a header, so that no nonce is used twice. A journal's closing line shows
whether records are missing at the end.
"""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 1 << 16
KEY_BYTES = 32
ID_BYTES = 8
CHUNKS = b"C"
RECORDS = b"R"
MAGIC = b"PLYSEAL"
_SALT = 16
HEADER_BYTES = len(MAGIC) + 1 + ID_BYTES + _SALT
_NONCE = 12
_TAG = 16
_LENGTH = 4
_MAX_RECORD = 1 << 28
"""A bound on lengths, all of which are below the magic number read as a length."""
STORED_CHUNK = _NONCE + CHUNK + _TAG

KeyOf = Callable[[bytes], bytes]
"""Returns a recording's key by its id. Raises OSError if it is not available."""


class NotAuthentic(OSError):
    """The object is not what was written: it was changed, cut off, or belongs to another key."""


class Header(NamedTuple):
    kind: bytes
    key_id: bytes
    salt: bytes

    def encode(self) -> bytes:
        return MAGIC + self.kind + self.key_id + self.salt


def new_header(kind: bytes, key_id: bytes) -> Header:
    """Return the header of a new object."""
    return Header(kind, key_id, os.urandom(_SALT))


def read_header(data: bytes) -> Header | None:
    """Return the header that an object begins with, None if the object is not encrypted."""
    kind = data[len(MAGIC) : len(MAGIC) + 1]
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC) or kind not in {CHUNKS, RECORDS}:
        return None
    id_end = len(MAGIC) + 1 + ID_BYTES
    return Header(kind, data[len(MAGIC) + 1 : id_end], data[id_end:HEADER_BYTES])


def stored_size(size: int) -> int:
    """Return the bytes that content of `size` takes in chunks."""
    return HEADER_BYTES + size + _chunks(size) * (_NONCE + _TAG)


def content_size(stored: int) -> int:
    """Return the size of the content in an object of chunks; raises NotAuthentic if none has that length."""
    rest = stored - HEADER_BYTES
    size = rest - -(-rest // STORED_CHUNK) * (_NONCE + _TAG)
    if size < 0 or stored_size(size) != stored:
        raise NotAuthentic(f"no encrypted object has {stored} bytes")
    return size


def place(index: int) -> int:
    """Return where a chunk begins in the object."""
    return HEADER_BYTES + index * STORED_CHUNK


def _chunks(size: int) -> int:
    return max(1, -(-size // CHUNK))


class Chunks:
    """The cipher of an object's chunks."""

    def __init__(self, header: Header, key: bytes) -> None:
        self._cipher = _cipher(header, key)

    def seal(self, index: int, content: bytes, *, last: bool) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, _bound(index, last=last))

    def open(self, index: int, stored: bytes, *, last: bool) -> bytes:
        """Return a chunk's content. Raises NotAuthentic."""
        try:
            return self._cipher.decrypt(stored[:_NONCE], stored[_NONCE:], _bound(index, last=last))
        except (InvalidTag, ValueError) as error:
            raise NotAuthentic(f"chunk {index} was changed, or the object was cut off") from error

    def read(self, start: int, end: int, size: int, fetch: Callable[[int, int], bytes]) -> bytes:
        """Return bytes `start` to `end` of content of `size`; `fetch` returns bytes of the object."""
        if start >= end:
            return b""
        first, beyond, count = start // CHUNK, -(-end // CHUNK), _chunks(size)
        stored = fetch(place(first), min(place(beyond), stored_size(size)))
        pieces = [
            self.open(first + n, stored[n * STORED_CHUNK : (n + 1) * STORED_CHUNK], last=first + n == count - 1)
            for n in range(beyond - first)
        ]
        return b"".join(pieces)[start - first * CHUNK : end - first * CHUNK]


def seal_whole(key_id: bytes, key: bytes, content: bytes) -> bytes:
    """Return content as an object of chunks."""
    header = new_header(CHUNKS, key_id)
    cipher, count = Chunks(header, key), _chunks(len(content))
    sealed = [cipher.seal(n, content[n * CHUNK : (n + 1) * CHUNK], last=n == count - 1) for n in range(count)]
    return b"".join([header.encode(), *sealed])


def open_whole(stored: bytes, key_of: KeyOf) -> bytes:
    """Return an object's content, of either kind, or the object itself if it is not encrypted.

    Raises OSError: NotAuthentic, or that its key is missing.
    """
    header = read_header(stored)
    if header is None:
        return stored
    if header.kind == RECORDS:
        return b"".join(record.content for record in read_records(stored, key_of))
    size = content_size(len(stored))
    if size == 0:
        return Chunks(header, key_of(header.key_id)).open(0, stored[HEADER_BYTES:], last=True)
    return Chunks(header, key_of(header.key_id)).read(0, size, size, lambda start, end: stored[start:end])


class Records:
    """The records that one writer appends. After a failed write it must be replaced by a new one."""

    def __init__(self, key_id: bytes, key: bytes) -> None:
        header = new_header(RECORDS, key_id)
        self._cipher = _cipher(header, key)
        self._begin = header.encode()
        self._number = 0

    def seal(self, content: bytes) -> bytes:
        """Return the next record, and before the first the header."""
        length = len(content).to_bytes(_LENGTH, "big")
        begin = b"" if self._number else self._begin
        sealed = self._cipher.encrypt(self._number.to_bytes(_NONCE, "big"), content, length)
        self._number += 1
        return begin + length + sealed


class Record(NamedTuple):
    """A record's content, and where it ends in the object."""

    content: bytes
    end: int


def read_records(stored: bytes, key_of: KeyOf) -> Iterator[Record]:
    """Yield the records of an object up to the first that is incomplete or invalid. Raises OSError without its key."""
    position, cipher, number = 0, None, 0
    while position < len(stored):
        if (header := read_header(stored[position : position + HEADER_BYTES])) is not None:
            cipher, number = _cipher(header, key_of(header.key_id)), 0
            position += HEADER_BYTES
            continue
        begin = position + _LENGTH
        length = stored[position:begin]
        position = begin + int.from_bytes(length, "big") + _TAG
        if cipher is None or position > len(stored) or position - begin - _TAG > _MAX_RECORD:
            return
        try:
            content = cipher.decrypt(number.to_bytes(_NONCE, "big"), stored[begin:position], length)
        except InvalidTag:
            return
        number += 1
        yield Record(content, position)


def _cipher(header: Header, key: bytes) -> AESGCM:
    about = b"parley sealed object\0" + header.kind + header.key_id
    return AESGCM(HKDF(SHA256(), length=KEY_BYTES, salt=header.salt, info=about).derive(key))


def _bound(index: int, *, last: bool) -> bytes:
    return index.to_bytes(8, "big") + bytes([last])
