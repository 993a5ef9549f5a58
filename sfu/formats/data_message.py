"""The messages of data channels between a client and the sfu: receivers or sender, topic and payload.

    byte 0       version, 1
    byte 1       length of the topic in bytes, then the topic in UTF-8
    next byte    number of names; each is a byte of length and the name in UTF-8
    the rest     the payload, untouched

In messages to the sfu the names are the receivers (none: everybody); in messages from it, the one name is the sender.
"""

from dataclasses import dataclass

VERSION = 1
MAX_MESSAGE_BYTES = 65_536
"""The size of a complete message to the sfu, as its descriptions announce it (RFC 8841, section 6)."""

_MAX_TEXT = 255
_MAX_NAMES = 255
MAX_PASSED_ON_BYTES = MAX_MESSAGE_BYTES + 1 + _MAX_TEXT
"""The size of a complete message from the sfu, which adds the sender's name."""


@dataclass(frozen=True, slots=True)
class DataMessage:
    """One message. Topic and names have at most 255 bytes each, and there are at most 255 names."""

    payload: bytes
    topic: str = ""
    names: tuple[str, ...] = ()


def parse(data: bytes) -> DataMessage:
    """Return the parsed message; raises ValueError for anything else."""
    if not data or data[0] != VERSION:
        raise ValueError("not a data message of this version")
    topic, at = _text(data, 1)
    if at >= len(data):
        raise ValueError("a data message ends before its names")
    count = data[at]
    at += 1
    names = []
    for _ in range(count):
        name, at = _text(data, at)
        names.append(name)
    return DataMessage(data[at:], topic, tuple(names))


def serialize(message: DataMessage) -> bytes:
    """Return the bytes; raises ValueError if a text is too long or there are too many names."""
    if len(message.names) > _MAX_NAMES:
        raise ValueError("too many names")
    parts = [bytes([VERSION]), _prefixed(message.topic), bytes([len(message.names)])]
    return b"".join([*parts, *map(_prefixed, message.names), message.payload])


def _prefixed(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > _MAX_TEXT:
        raise ValueError("a text is too long")
    return bytes([len(encoded)]) + encoded


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Return a text and the offset of the next field."""
    if at >= len(data):
        raise ValueError("a data message ends before a text")
    end = at + 1 + data[at]
    if end > len(data):
        raise ValueError("a text is longer than the message")
    return data[at + 1 : end].decode(), end  # UnicodeDecodeError is a ValueError
