"""Secure Reliable Transport (draft-sharabayko-srt-01): packets and handshakes of live mode."""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

HEADER_BYTES = 16
SEQUENCES = 1 << 31
MESSAGES = 1 << 26
EVEN_KEY, RESENT = 1 << 27, 1 << 26
"""Flags of data packets."""
PAYLOAD_BYTES = 1316
"""The most content of a packet: seven packets of MPEG-TS."""
VERSION = 5
MAGIC = 0x4A17
_HEADER = struct.Struct("!IIII")
_HANDSHAKE = struct.Struct("!IHHIIIIII16s")
_OURS = 0x00010503
"""The version of libsrt whose extensions are understood."""
_FLAGS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x20
"""TSBPDSND, TSBPDRCV, CRYPT (which must be set, even without encryption), TLPKTDROP, PERIODICNAK, REXMITFLG."""
_STREAM_FLAG = 0x40
_MAX_STREAM_ID = 512
_AES_128 = 2
_PAIRS = 200
"""The most losses in one report, which fits into a packet."""


class Control(IntEnum):
    """Types of control packets."""

    HANDSHAKE = 0
    KEEPALIVE = 1
    ACK = 2
    NAK = 3
    SHUTDOWN = 5
    ACKACK = 6
    DROP = 7


class Kind(IntEnum):
    """Types of handshakes. Larger ones are refusals."""

    INDUCTION = 1
    CONCLUSION = 0xFFFFFFFF


class Refusal(IntEnum):
    """Reasons of refusals. Those from 1400 on are for applications, and like HTTP's."""

    RESOURCE = 1003
    ROGUE = 1004
    VERSION = 1008
    ENCRYPTION = 1011
    MESSAGE_API = 1012
    UNAUTHORIZED = 1401
    UNAVAILABLE = 1503


class _Extension(IntEnum):
    REQUEST = 1
    RESPONSE = 2
    KEYS = 3
    STREAM_ID = 5


_HAS_REQUEST, _HAS_KEYS, _HAS_CONFIG = 1, 2, 4
"""Flags of a request's extension field."""


class Header(NamedTuple):
    """The header of a packet: `sequence` is that of data, None for control packets of `kind` with `info`."""

    sequence: int | None
    kind: int
    info: int
    timestamp: int
    destination: int


class Handshake(NamedTuple):
    """A handshake. `latency` is in ms; `encrypts` is true if the peer uses a passphrase."""

    version: int
    kind: int
    sequence: int
    socket: int
    cookie: int
    window: int = 8192
    stream_id: str = ""
    latency: int = 0
    encrypts: bool = False
    is_message: bool = True
    magic: int = 0


def read_header(data: bytes) -> Header | None:
    """Return a packet's header, None if it is too short."""
    if len(data) < HEADER_BYTES:
        return None
    first, second, timestamp, destination = _HEADER.unpack_from(data)
    if first >> 31:
        return Header(None, first >> 16 & 0x7FFF, second, timestamp, destination)
    return Header(first, 0, second, timestamp, destination)


def control(kind: Control, info: int, timestamp: int, destination: int, content: bytes = b"") -> bytes:
    """Return a control packet; its content is never empty, as some peers expect."""
    head = _HEADER.pack(1 << 31 | kind << 16, info, timestamp & 0xFFFFFFFF, destination)
    return head + (content or bytes(4))


def read_handshake(data: bytes) -> Handshake:
    """Return the handshake in a control packet. Raises ValueError."""
    content = data[HEADER_BYTES:]
    if len(content) < _HANDSHAKE.size:
        raise ValueError("a handshake is too short")
    version, encryption, field, sequence, _, window, kind, socket, cookie, _ = _HANDSHAKE.unpack_from(content)
    made = Handshake(version, kind, sequence % SEQUENCES, socket, cookie, window, magic=field)
    if kind != Kind.CONCLUSION:
        return made
    found: dict[int, bytes] = {}
    position = _HANDSHAKE.size
    while position + 4 <= len(content):
        extension, words = struct.unpack_from("!HH", content, position)
        block = content[position + 4 : position + 4 + 4 * words]
        if len(block) != 4 * words:
            raise ValueError("an extension of a handshake is cut off")
        found[extension] = block
        position += 4 + 4 * words
    request = found.get(_Extension.REQUEST) or found.get(_Extension.RESPONSE, b"")
    if len(request) < 12:
        raise ValueError("a handshake without its request")
    _, flags, receive, send = struct.unpack_from("!IIHH", request)
    return made._replace(
        stream_id=_text(found.get(_Extension.STREAM_ID, b"")),
        latency=max(receive, send),
        encrypts=bool(encryption) or _Extension.KEYS in found,
        is_message=not flags & _STREAM_FLAG,
    )


def handshake(answer: Handshake, destination: int) -> bytes:
    """Return the answer to a handshake as a packet."""
    accepts = answer.kind == Kind.CONCLUSION
    field = MAGIC if answer.kind == Kind.INDUCTION else int(accepts)
    content = _HANDSHAKE.pack(
        VERSION, 0, field, answer.sequence, 1500, answer.window, answer.kind, answer.socket, answer.cookie, bytes(16)
    )
    if accepts:
        block = struct.pack("!IIHH", _OURS, _FLAGS, answer.latency, answer.latency)
        content += struct.pack("!HH", _Extension.RESPONSE, len(block) // 4) + block
    return control(Control.HANDSHAKE, 0, 0, destination, content)


def induction(sequence: int, socket: int, timestamp: int) -> bytes:
    """Return a caller's first packet."""
    content = _HANDSHAKE.pack(4, 0, 2, sequence, 1500, 8192, Kind.INDUCTION, socket, 0, bytes(16))
    return control(Control.HANDSHAKE, 0, timestamp, 0, content)


def conclusion(wish: Handshake, timestamp: int, keys: bytes = b"") -> bytes:
    """Return a caller's second packet; `keys` is its key material, if it encrypts."""
    blocks = {_Extension.REQUEST: struct.pack("!IIHH", _OURS, _FLAGS, wish.latency, wish.latency)}
    if keys:
        blocks[_Extension.KEYS] = keys
    if wish.stream_id:
        text = wish.stream_id.encode()
        if len(text) > _MAX_STREAM_ID:
            raise ValueError("a stream id is too long")
        blocks[_Extension.STREAM_ID] = _turned(text + bytes(-len(text) % 4))
    field = _HAS_REQUEST | (_HAS_KEYS if keys else 0) | (_HAS_CONFIG if wish.stream_id else 0)
    content = _HANDSHAKE.pack(
        VERSION,
        _AES_128 if keys else 0,
        field,
        wish.sequence,
        1500,
        wish.window,
        Kind.CONCLUSION,
        wish.socket,
        wish.cookie,
        bytes(16),
    )
    content += b"".join(struct.pack("!HH", kind, len(block) // 4) + block for kind, block in blocks.items())
    return control(Control.HANDSHAKE, 0, timestamp, 0, content)


def data_packet(sequence: int, number: int, timestamp: int, destination: int, content: bytes, *, flags: int) -> bytes:
    """Return a packet of live mode: a whole message, with the flags of encryption and retransmission."""
    second = 3 << 30 | flags | number & MESSAGES - 1
    return _HEADER.pack(sequence, second, timestamp & 0xFFFFFFFF, destination) + content


def read_losses(content: bytes) -> list[tuple[int, int]]:
    """Return the ranges of sequence numbers, first and last, in the content of a NAK."""
    words = [word for (word,) in struct.iter_unpack("!I", content[: len(content) // 4 * 4])]
    found = []
    position = 0
    while position < len(words):
        first = words[position]
        position += 1
        last = first
        if first >> 31 and position < len(words):
            last = words[position]
            position += 1
        found.append((first % SEQUENCES, last % SEQUENCES))
    return found


def losses(missing: Sequence[int]) -> bytes:
    """Return the list of lost sequence numbers, ascending, of a NAK."""
    ranges: list[list[int]] = []
    for one in missing:
        if ranges and (ranges[-1][1] + 1) % SEQUENCES == one:
            ranges[-1][1] = one
        elif len(ranges) == _PAIRS:
            break
        else:
            ranges.append([one, one])
    words = [word for first, last in ranges for word in ((first,) if first == last else (1 << 31 | first, last))]
    return struct.pack(f"!{len(words)}I", *words)


def _text(block: bytes) -> str:
    """Return a text whose words of four bytes are reversed; raises ValueError."""
    if len(block) > _MAX_STREAM_ID:
        raise ValueError("a stream id is too long")
    return _turned(block).rstrip(b"\0").decode()


def _turned(block: bytes) -> bytes:
    return b"".join(block[at : at + 4][::-1] for at in range(0, len(block), 4))


def key_of(stream_id: str) -> str:
    """Return the stream key in a stream id: the id itself, or `r` or `u` of the form `#!::r=KEY,m=publish`."""
    if not stream_id.startswith("#!::"):
        return stream_id
    fields = dict(field.partition("=")[::2] for field in stream_id.removeprefix("#!::").split(","))
    return fields.get("r") or fields.get("u", "")
