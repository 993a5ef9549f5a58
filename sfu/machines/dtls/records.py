"""DTLS records in datagrams (RFC 6347, section 4.1): a filter of what may reach OpenSSL, and packing.

OpenSSL versions differ in how they handle short records, and floods of handshake fragments out of order. Records that
cannot be part of a valid handshake are dropped here, before they cost memory.
"""

from collections.abc import Iterator
from typing import NamedTuple

CHANGE_CIPHER_SPEC = 20
ALERT = 21
HANDSHAKE = 22
APPLICATION_DATA = 23

HEADER_BYTES = 13
_HANDSHAKE_HEADER_BYTES = 12
_CLIENT_HELLO = b"\x01"
_MAX_RECORD_BYTES = 2**14 + 256
_MAX_MESSAGE_BYTES = 20_000  # room for a long certificate chain
_MAX_MESSAGE_SEQ = 24
# Explicit nonce and tag of AES-GCM; ChaCha20-Poly1305 has no nonce, CBC suites need more than either.
_MIN_PROTECTED_BYTES = 16


class Record(NamedTuple):
    """A record's content type, epoch and place in its datagram."""

    content_type: int
    epoch: int
    start: int
    end: int


def records(data: bytes) -> list[Record]:
    """Return the records of a datagram; raises ValueError unless they fill it exactly."""
    found = []
    start = 0
    while start < len(data):
        if len(data) - start < HEADER_BYTES:
            raise ValueError("truncated record header")
        length = int.from_bytes(data[start + 11 : start + 13], "big")
        end = start + HEADER_BYTES + length
        if data[start + 1] != 0xFE or length > _MAX_RECORD_BYTES or end > len(data):
            raise ValueError("not a DTLS record")
        found.append(Record(data[start], int.from_bytes(data[start + 3 : start + 5], "big"), start, end))
        start = end
    if not found:
        raise ValueError("empty datagram")
    return found


def is_sane(data: bytes, found: list[Record]) -> bool:
    """Return True if OpenSSL may see the record: known type, no short protected record, no absurd handshake
    fragment.
    """
    for record in found:
        if not CHANGE_CIPHER_SPEC <= record.content_type <= APPLICATION_DATA:
            return False
        length = record.end - record.start - HEADER_BYTES
        if record.epoch > 0 and length < _MIN_PROTECTED_BYTES:
            return False
        if record.epoch == 0 and record.content_type == APPLICATION_DATA:
            return False
        if record.epoch == 0 and record.content_type == HANDSHAKE:
            body = data[record.start + HEADER_BYTES : record.end]
            if not all(_is_sane_fragment(*fragment) for fragment in _fragments(body)):
                return False
    return True


def is_client_hello(data: bytes, found: list[Record]) -> bool:
    """Return True if all records are fragments of a plain ClientHello, the only message that a server accepts at
    first.
    """
    return all(
        record.epoch == 0
        and record.content_type == HANDSHAKE
        and data[record.start + HEADER_BYTES : record.start + HEADER_BYTES + 1] == _CLIENT_HELLO
        for record in found
    )


def pack(stream: bytes, mtu: int) -> list[bytes]:
    """Return datagrams of complete records, at most `mtu` bytes each unless a single record is longer."""
    datagrams: list[bytes] = []
    begin = end = 0
    for record in records(stream) if stream else ():
        if record.end - begin > mtu and end > begin:
            datagrams.append(stream[begin:end])
            begin = end
        end = record.end
    if end > begin:
        datagrams.append(stream[begin:end])
    return datagrams


def _fragments(body: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (message length, seq, fragment offset, fragment length, bytes present) for a plain handshake record."""
    start = 0
    while start < len(body):
        header = body[start : start + _HANDSHAKE_HEADER_BYTES]
        fragment_length = int.from_bytes(header[9:12], "big")
        start += _HANDSHAKE_HEADER_BYTES
        yield (
            int.from_bytes(header[1:4], "big"),
            int.from_bytes(header[4:6], "big"),
            int.from_bytes(header[6:9], "big"),
            fragment_length,
            len(body) - start,
        )
        start += fragment_length


def _is_sane_fragment(length: int, seq: int, offset: int, fragment_length: int, there: int) -> bool:
    return (
        length <= _MAX_MESSAGE_BYTES
        and seq <= _MAX_MESSAGE_SEQ
        and offset + fragment_length <= length
        and 0 <= fragment_length <= there
    )
