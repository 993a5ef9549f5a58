"""STUN messages (RFC 8489) with the attributes of ICE connectivity checks (RFC 8445, section 7.1).

Departures, as in browsers: text is UTF-8 without the OpaqueString profile, and only MESSAGE-INTEGRITY (HMAC-SHA1) is
supported. Attributes after MESSAGE-INTEGRITY other than FINGERPRINT are ignored (RFC 8489, section 14.5).
"""

import hmac
import ipaddress
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache, partial
from typing import TypeVar

Address = tuple[str, int]
BINDING = 0x001
HEADER_BYTES = 20

_COOKIE = 0x2112A442
_FINGERPRINT_XOR = 0x5354554E
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_USERNAME = 0x0006
_MESSAGE_INTEGRITY = 0x0008
_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_PRIORITY = 0x0024
_USE_CANDIDATE = 0x0025
_SOFTWARE = 0x8022
_FINGERPRINT = 0x8028
_ICE_CONTROLLED = 0x8029
_ICE_CONTROLLING = 0x802A
_KNOWN_REQUIRED = frozenset(
    {_USERNAME, _MESSAGE_INTEGRITY, _ERROR_CODE, _UNKNOWN_ATTRIBUTES, _XOR_MAPPED_ADDRESS, _PRIORITY, _USE_CANDIDATE}
)
_INTEGRITY_BYTES = 20
_BINDING_REQUEST = BINDING.to_bytes(2, "big")
_INTEGRITY_HEAD = _ATTRIBUTE.pack(_MESSAGE_INTEGRITY, _INTEGRITY_BYTES)
_FINGERPRINT_HEAD = _ATTRIBUTE.pack(_FINGERPRINT, 4)

T = TypeVar("T")


class MessageClass(IntEnum):
    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Message:
    """A STUN message. `transaction_id` is 12 bytes; attributes that are absent are None (or False, or ()).

    `controlling` and `controlled` are ICE tie-breakers. `unknown_required` lists unknown comprehension-required
    attribute types. `has_integrity` and `has_fingerprint` are set if a parsed message had these attributes. A
    fingerprint has been verified by then, integrity has not; see `verify_integrity`.
    """

    message_class: MessageClass
    transaction_id: bytes
    method: int = BINDING
    username: str | None = None
    priority: int | None = None
    use_candidate: bool = False
    controlling: int | None = None
    controlled: int | None = None
    xor_mapped_address: Address | None = None
    error: tuple[int, str] | None = None
    software: str | None = None
    unknown_attributes: tuple[int, ...] = ()
    unknown_required: tuple[int, ...] = ()
    has_integrity: bool = False
    has_fingerprint: bool = False


def is_stun(data: bytes) -> bool:
    """Return True if a datagram may be STUN, by RFC 7983's first byte, the magic cookie and the length."""
    return (
        len(data) >= HEADER_BYTES
        and data[0] < 4
        and int.from_bytes(data[4:8], "big") == _COOKIE
        and int.from_bytes(data[2:4], "big") == len(data) - HEADER_BYTES
        and len(data) % 4 == 0
    )


def parse(data: bytes) -> Message:
    """Return the parsed message; raises ValueError, also for a wrong FINGERPRINT."""
    if not is_stun(data):
        raise ValueError("not a STUN message")
    message_type = int.from_bytes(data[:2], "big")
    transaction_id = bytes(data[8:HEADER_BYTES])
    first: dict[int, bytes] = {}
    for kind, offset, value in _attributes(data):
        if kind == _FINGERPRINT:
            _check_fingerprint(data, offset, value)
        elif _MESSAGE_INTEGRITY in first:
            continue
        first.setdefault(kind, value)
    return Message(
        MessageClass((message_type >> 7 & 2) | (message_type >> 4 & 1)),
        transaction_id,
        (message_type & 0x000F) | (message_type >> 1 & 0x0070) | (message_type >> 2 & 0x0F80),
        username=_parsed(first.get(_USERNAME), _parse_text),
        priority=_parsed(first.get(_PRIORITY), _parse_32),
        use_candidate=_USE_CANDIDATE in first,
        controlling=_parsed(first.get(_ICE_CONTROLLING), _parse_64),
        controlled=_parsed(first.get(_ICE_CONTROLLED), _parse_64),
        xor_mapped_address=_parsed(first.get(_XOR_MAPPED_ADDRESS), partial(_parse_address, transaction_id)),
        error=_parsed(first.get(_ERROR_CODE), _parse_error),
        software=_parsed(first.get(_SOFTWARE), _parse_text),
        unknown_attributes=_parsed(first.get(_UNKNOWN_ATTRIBUTES), _parse_types) or (),
        unknown_required=tuple(kind for kind in first if kind < 0x8000 and kind not in _KNOWN_REQUIRED),
        has_integrity=_parsed(first.get(_MESSAGE_INTEGRITY), _parse_integrity) is not None,
        has_fingerprint=_FINGERPRINT in first,
    )


def _parsed(value: bytes | None, parse_value: Callable[[bytes], T]) -> T | None:
    return None if value is None else parse_value(value)


def _attributes(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return (type, offset, value) of each attribute."""
    attributes = []
    offset = HEADER_BYTES
    while offset < len(data):
        kind, length = _ATTRIBUTE.unpack_from(data, offset)
        end = offset + _ATTRIBUTE.size + length
        if end > len(data):
            raise ValueError("STUN attribute runs past the message")
        attributes.append((kind, offset, bytes(data[offset + _ATTRIBUTE.size : end])))
        offset = end + -end % 4
        if kind == _FINGERPRINT:
            break
    return attributes


def _parse_text(value: bytes) -> str:
    if len(value) > 763:
        raise ValueError("STUN text is too long")
    return value.decode()


def _parse_32(value: bytes) -> int:
    if len(value) != 4:
        raise ValueError("STUN priority is not four bytes")
    return int.from_bytes(value, "big")


def _parse_64(value: bytes) -> int:
    if len(value) != 8:
        raise ValueError("STUN tie-breaker is not eight bytes")
    return int.from_bytes(value, "big")


def _parse_types(value: bytes) -> tuple[int, ...]:
    if len(value) % 2:
        raise ValueError("STUN unknown attributes are not a list of types")
    return struct.unpack(f"!{len(value) // 2}H", value)


def _parse_integrity(value: bytes) -> bytes:
    if len(value) != _INTEGRITY_BYTES:
        raise ValueError("STUN message integrity is not 20 bytes")
    return value


def _parse_error(value: bytes) -> tuple[int, str]:
    if len(value) < 4 or not 3 <= value[2] & 7 <= 6 or value[3] > 99:
        raise ValueError("STUN error code is malformed")
    return (value[2] & 7) * 100 + value[3], _parse_text(value[4:])


def _parse_address(transaction_id: bytes, value: bytes) -> Address:
    if (len(value), value[1] if len(value) > 1 else 0) not in ((8, 1), (20, 2)):
        raise ValueError("STUN address is neither IPv4 nor IPv6")
    port = int.from_bytes(value[2:4], "big") ^ _COOKIE >> 16
    return str(ipaddress.ip_address(_mask(value[4:], transaction_id))), port


def _mask(address: bytes, transaction_id: bytes) -> bytes:
    key = (_COOKIE.to_bytes(4, "big") + transaction_id)[: len(address)]
    return (int.from_bytes(address, "big") ^ int.from_bytes(key, "big")).to_bytes(len(address), "big")


def _check_fingerprint(data: bytes, offset: int, value: bytes) -> None:
    # A fingerprint is the last attribute, so the length in the header already covers it.
    if offset + 8 != len(data) or value != _fingerprint(data[:offset]):
        raise ValueError("STUN fingerprint does not match")


def _fingerprint(covered: bytes) -> bytes:
    return (zlib.crc32(covered) ^ _FINGERPRINT_XOR).to_bytes(4, "big")


def verify_integrity(data: bytes, key: bytes) -> bool:
    """Return True if a message that `parse` accepted has a MESSAGE-INTEGRITY made with `key` (an ICE password)."""
    for kind, offset, value in _attributes(data):
        if kind == _MESSAGE_INTEGRITY:
            return hmac.compare_digest(value, _integrity(data[:offset], key))
    return False


def attributes_of(data: bytes) -> bytes:
    """Return the raw attributes before MESSAGE-INTEGRITY of a message that `parse` accepted."""
    end = next((offset for kind, offset, _ in _attributes(data) if kind == _MESSAGE_INTEGRITY), len(data))
    return data[HEADER_BYTES:end]


def is_request_with(attributes: bytes, data: bytes, key: bytes) -> bool:
    """Return True if `data` is a binding request with exactly these attributes, verified with `key`.

    The result is that of `parse` and `verify_integrity` for a message in which only the transaction is new. FINGERPRINT
    is optional.
    """
    end = HEADER_BYTES + len(attributes)
    signed = end + _ATTRIBUTE.size + _INTEGRITY_BYTES
    if not is_stun(data) or data[:2] != _BINDING_REQUEST or data[HEADER_BYTES:end] != attributes:
        return False
    if data[end : end + _ATTRIBUTE.size] != _INTEGRITY_HEAD:
        return False
    if len(data) != signed and data[signed:] != _FINGERPRINT_HEAD + _fingerprint(data[:signed]):
        return False
    return hmac.compare_digest(data[end + _ATTRIBUTE.size : signed], _integrity(data[:end], key))


def _integrity(covered: bytes, key: bytes) -> bytes:
    """Return the HMAC of the message so far; its length field includes the integrity attribute itself."""
    length = len(covered) - HEADER_BYTES + _ATTRIBUTE.size + _INTEGRITY_BYTES
    return hmac.digest(key, covered[:2] + length.to_bytes(2, "big") + covered[4:], "sha1")


def serialize(message: Message, key: bytes | None = None, fingerprint: bool = True) -> bytes:
    """Return the message's bytes, with MESSAGE-INTEGRITY if a key is given; fields set only by parsing are ignored.

    Raises ValueError if a field does not fit; methods above 0xFF could be mistaken for DTLS (RFC 7983).
    """
    if len(message.transaction_id) != 12 or not 0 <= message.method <= 0xFF:
        raise ValueError("STUN transaction id or method does not fit")
    method, kind = message.method, message.message_class
    message_type = method & 0x000F | (method & 0x0070) << 1 | (method & 0x0F80) << 2 | (kind & 1) << 4 | (kind & 2) << 7
    try:
        body = b"".join(_attribute(kind, value) for kind, value in _values(message))
    except (struct.error, OverflowError) as error:
        raise ValueError("STUN attribute does not fit") from error
    data = _HEADER.pack(message_type, len(body), _COOKIE, message.transaction_id) + body
    if key is not None:
        data += _attribute(_MESSAGE_INTEGRITY, _integrity(data, key))
    final = len(data) - HEADER_BYTES + (8 if fingerprint else 0)
    if final > 0xFFFF:
        raise ValueError("STUN message does not fit")
    data = data[:2] + final.to_bytes(2, "big") + data[4:]
    return data + _attribute(_FINGERPRINT, _fingerprint(data)) if fingerprint else data


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


@lru_cache(maxsize=1024)
def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host).packed


def _values(message: Message) -> list[tuple[int, bytes]]:
    values: list[tuple[int, bytes]] = []
    if message.username is not None:
        values.append((_USERNAME, message.username.encode()))
    if message.priority is not None:
        values.append((_PRIORITY, message.priority.to_bytes(4, "big")))
    if message.use_candidate:
        values.append((_USE_CANDIDATE, b""))
    if message.controlling is not None:
        values.append((_ICE_CONTROLLING, message.controlling.to_bytes(8, "big")))
    if message.controlled is not None:
        values.append((_ICE_CONTROLLED, message.controlled.to_bytes(8, "big")))
    if message.xor_mapped_address is not None:
        host, port = message.xor_mapped_address
        address = _packed(host)
        head = struct.pack("!BBH", 0, 1 if len(address) == 4 else 2, port ^ _COOKIE >> 16)
        values.append((_XOR_MAPPED_ADDRESS, head + _mask(address, message.transaction_id)))
    if message.error is not None:
        code, reason = message.error
        values.append((_ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()))
    if message.unknown_attributes:
        types = message.unknown_attributes
        values.append((_UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(types)}H", *types)))
    if message.software is not None:
        values.append((_SOFTWARE, message.software.encode()))
    return values
