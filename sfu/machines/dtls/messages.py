"""DTLS 1.2 handshake messages (RFC 6347, section 4.2): reassembly from fragments, and parsing of those a client
needs.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from sfu.machines.dtls.records import HANDSHAKE, HEADER_BYTES, Record

SERVER_HELLO = 2
HELLO_VERIFY_REQUEST = 3
CERTIFICATE = 11
SERVER_KEY_EXCHANGE = 12
CERTIFICATE_REQUEST = 13
SERVER_HELLO_DONE = 14
CERTIFICATE_VERIFY = 15
CLIENT_KEY_EXCHANGE = 16
FINISHED = 20

_HEADER_BYTES = 12
_LOOKAHEAD = 8
_MAX_BYTES = 20_000
_EXTENDED_MASTER_SECRET = 0x0017
_USE_SRTP = 0x000E


class Message(NamedTuple):
    """A complete handshake message."""

    kind: int
    seq: int
    body: bytes

    def encode(self) -> bytes:
        """Return the message as one fragment, the form in which transcripts hash it (RFC 6347, section 4.2.6)."""
        length = len(self.body).to_bytes(3, "big")
        return bytes([self.kind]) + length + self.seq.to_bytes(2, "big") + bytes(3) + length + self.body


@dataclass(slots=True)
class _Partial:
    kind: int
    body: bytearray
    missing: set[int]


@dataclass(slots=True)
class Assembler:
    """Reassembles the other side's messages in order; `next_seq` is the first incomplete one."""

    next_seq: int = 0
    _partial: dict[int, _Partial] = field(default_factory=dict)

    def add(self, data: bytes, found: list[Record]) -> list[Message]:
        """Take a datagram's plain handshake records; return the messages that are now complete, in order."""
        messages: list[Message] = []
        for record in found:
            if record.epoch == 0 and record.content_type == HANDSHAKE:
                messages += self.add_fragments(data[record.start + HEADER_BYTES : record.end])
        return messages

    def add_fragments(self, body: bytes) -> list[Message]:
        """Take the body of one handshake record; raises ValueError if fragments contradict each other or their
        record.
        """
        start = 0
        while start < len(body):
            header = body[start : start + _HEADER_BYTES]
            end = start + _HEADER_BYTES + int.from_bytes(header[9:12], "big")
            if len(header) < _HEADER_BYTES or end > len(body):
                raise ValueError("truncated handshake fragment")
            self._add(header, body[start + _HEADER_BYTES : end])
            start = end
        messages = []
        while (partial := self._partial.get(self.next_seq)) is not None and not partial.missing:
            messages.append(Message(partial.kind, self.next_seq, bytes(partial.body)))
            del self._partial[self.next_seq]
            self.next_seq += 1
        return messages

    def _add(self, header: bytes, piece: bytes) -> None:
        length = int.from_bytes(header[1:4], "big")
        seq = int.from_bytes(header[4:6], "big")
        offset = int.from_bytes(header[6:9], "big")
        if not self.next_seq <= seq < self.next_seq + _LOOKAHEAD:
            return
        if length > _MAX_BYTES or offset + len(piece) > length:
            raise ValueError("handshake fragment exceeds its message")
        partial = self._partial.get(seq)
        if partial is None:
            partial = self._partial[seq] = _Partial(header[0], bytearray(length), set(range(length)))
        if (partial.kind, len(partial.body)) != (header[0], length):
            raise ValueError("handshake fragments contradict each other")
        partial.body[offset : offset + len(piece)] = piece
        partial.missing.difference_update(range(offset, offset + len(piece)))


class ServerHello(NamedTuple):
    """The fields of a ServerHello that a client needs; `srtp_profile` is 0 without use_srtp (RFC 5764, section
    4.1.1).
    """

    random: bytes
    cipher_suite: int
    extended_master_secret: bool
    srtp_profile: int


class KeyExchange(NamedTuple):
    """A ServerKeyExchange over a named curve (RFC 8422, section 5.4). `parameters` is the signed part."""

    curve: int
    point: bytes
    parameters: bytes
    hash_algorithm: int
    signature_algorithm: int
    signature: bytes


class Reader:
    """Reads big-endian fields; raises ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        """The number of bytes not read yet."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.rest:
            raise ValueError("truncated handshake message")
        self._at += count
        return self._data[self._at - count : self._at]

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Return a vector whose length field has `size` bytes."""
        return self.take(self.integer(size))


def read_server_hello(body: bytes) -> ServerHello:
    """Return the parsed hello; raises ValueError for a version other than DTLS 1.2."""
    reader = Reader(body)
    if reader.integer(2) != 0xFEFD:
        raise ValueError("not DTLS 1.2")
    random = reader.take(32)
    reader.vector(1)
    suite = reader.integer(2)
    reader.integer(1)
    extensions: dict[int, bytes] = {}
    if reader.rest:
        listed = Reader(reader.vector(2))
        while listed.rest:
            kind = listed.integer(2)
            extensions[kind] = listed.vector(2)
    srtp = extensions.get(_USE_SRTP)
    profile = int.from_bytes(Reader(Reader(srtp).vector(2)).take(2), "big") if srtp is not None else 0
    return ServerHello(random, suite, _EXTENDED_MASTER_SECRET in extensions, profile)


def read_certificate(body: bytes) -> bytes:
    """Return the leaf certificate in DER; raises ValueError if there is none."""
    return Reader(Reader(body).vector(3)).vector(3)


def read_key_exchange(body: bytes) -> KeyExchange:
    """Return the parsed key exchange; raises ValueError for explicit instead of named curves."""
    reader = Reader(body)
    if reader.integer(1) != 3:
        raise ValueError("not a named curve")
    curve = reader.integer(2)
    point = reader.vector(1)
    parameters = body[: len(body) - reader.rest]
    return KeyExchange(curve, point, parameters, reader.integer(1), reader.integer(1), reader.vector(2))
