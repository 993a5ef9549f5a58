"""STUN messages (RFC 8489) with the attributes of ICE connectivity checks (RFC 8445, section 7.1).

Departs: text is UTF-8 without the OpaqueString profile, and only MESSAGE-INTEGRITY (HMAC-SHA1) is spoken, as browsers
do. Attributes after MESSAGE-INTEGRITY other than FINGERPRINT are ignored (RFC 8489, section 14.5).
"""

from dataclasses import dataclass
from enum import IntEnum

Address = tuple[str, int]
BINDING = 0x001


class MessageClass(IntEnum):
    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Message:
    """A STUN message. `transaction_id` is 12 bytes; attributes that are absent are None (or False, or ()).

    `controlling` and `controlled` hold ICE tie-breakers. `unknown_required` lists comprehension-required attribute
    types that this module does not know. `has_integrity` and `has_fingerprint` say what a parsed message carried; a
    fingerprint that is there has been verified, integrity has not: see `verify_integrity`.
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
    """Whether a datagram may be STUN: RFC 7983's first byte, the magic cookie and a length that fits."""
    raise NotImplementedError


def parse(data: bytes) -> Message:
    """Return the message; raises ValueError, also for a FINGERPRINT that does not match."""
    raise NotImplementedError


def verify_integrity(data: bytes, key: bytes) -> bool:
    """Whether the message that `parse` accepted carries a MESSAGE-INTEGRITY made with `key` (an ICE password)."""
    raise NotImplementedError


def serialize(message: Message, key: bytes | None = None, fingerprint: bool = True) -> bytes:
    """Return the message's bytes, with MESSAGE-INTEGRITY when a key is given; the parsed-only fields are ignored.

    ValueError when a field does not fit.
    """
    raise NotImplementedError
