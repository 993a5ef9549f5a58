"""Messages that open a data channel in band (RFC 8832)."""

import struct
from typing import NamedTuple

PROTOCOL = 50
"""The payload protocol identifier of these messages (RFC 8831, section 8)."""
ACKNOWLEDGEMENT = b"\x02"

_OPEN = 3
_UNORDERED = 0x80
_RETRANSMITS = 0x01
_HEADER = struct.Struct("!BBHIHH")


class Opening(NamedTuple):
    """A channel to open: ordered or not, with the maximum number of retransmissions (None: until a message arrives)."""

    label: str
    ordered: bool = True
    max_retransmits: int | None = None


def serialize(opening: Opening) -> bytes:
    """Return the message that opens a channel."""
    label = opening.label.encode()
    kind = (0 if opening.ordered else _UNORDERED) | (0 if opening.max_retransmits is None else _RETRANSMITS)
    return _HEADER.pack(_OPEN, kind, 0, opening.max_retransmits or 0, len(label), 0) + label


def parse(data: bytes) -> Opening | None:
    """Return the channel to open, None for an acknowledgement; raises ValueError for anything else."""
    if data == ACKNOWLEDGEMENT:
        return None
    if len(data) < _HEADER.size or data[0] != _OPEN:
        raise ValueError("not a message that opens a data channel")
    _, kind, _, parameter, label, protocol = _HEADER.unpack_from(data)
    if len(data) != _HEADER.size + label + protocol:
        raise ValueError("the lengths of a message that opens a data channel do not add up")
    text = data[_HEADER.size : _HEADER.size + label].decode()  # UnicodeDecodeError is a ValueError
    return Opening(text, not kind & _UNORDERED, parameter if kind & ~_UNORDERED == _RETRANSMITS else None)
