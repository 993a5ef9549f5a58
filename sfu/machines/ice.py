"""ICE-lite (RFC 8445, section 2.5) for one peer: answers checks, learns 5-tuples, watches consent (RFC 7675)."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from sfu.formats.sdp import Candidate

CONSENT_NS = 30_000_000_000
MAX_PAIRS = 32

Address = tuple[str, int]


class FiveTuple(NamedTuple):
    """Where a datagram came from and the index of our socket that it reached."""

    source: Address
    local: int


class Refusal(Enum):
    """Why a STUN message was not accepted."""

    MALFORMED = "malformed"
    NOT_A_REQUEST = "not_a_request"
    NO_INTEGRITY = "no_integrity"
    WRONG_UFRAG = "wrong_ufrag"
    WRONG_INTEGRITY = "wrong_integrity"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    ROLE_CONFLICT = "role_conflict"
    TOO_MANY_PAIRS = "too_many_pairs"
    EXPIRED = "expired"


class Credentials(NamedTuple):
    """An ICE user fragment and password (RFC 8445, section 5.3)."""

    ufrag: str
    pwd: str


class IceReceived(NamedTuple):
    """What a STUN message led to.

    `response` is to be sent back to the source from the same socket. `validated` is a 5-tuple seen valid for the first
    time: DTLS and SRTP from it may be taken. `selected` is set when the 5-tuple to send to changed. `dismissed` are
    5-tuples forgotten to make room or by a restart. `refused` tells why nothing was accepted.
    """

    response: bytes | None = None
    validated: FiveTuple | None = None
    selected: FiveTuple | None = None
    dismissed: tuple[FiveTuple, ...] = ()
    refused: Refusal | None = None


def generate_credentials() -> Credentials:
    """Return random credentials: 8 characters of ufrag, 24 of password (at least 24 and 128 bits of randomness)."""
    raise ValueError


def local_ufrag(data: bytes) -> str | None:
    """Return our ufrag from a binding request's USERNAME ("ours:theirs"), to find its peer; None when there is none.

    Nothing is verified.
    """
    raise ValueError(data)


def lite_candidates(addresses: Sequence[Address], announced: Sequence[Address] = ()) -> tuple[Candidate, ...]:
    """Return UDP candidates: host ones for our own addresses, and host ones for announced public addresses (1:1 NAT).

    Priorities fall in the order given (RFC 8445, section 5.1.2), announced ones first.
    """
    raise ValueError(addresses, announced)


class IceLite:
    """The controlled, lite side of one peer."""

    def __init__(self, credentials: Credentials, now: int) -> None:
        """Consent runs from `now`: without a valid check within CONSENT_NS the peer expires."""
        self._credentials = credentials
        self._now = now

    @property
    def credentials(self) -> Credentials:
        return self._credentials

    @property
    def selected(self) -> FiveTuple | None:
        """Where to send: the nominated 5-tuple, else the newest validated one, None before any."""
        return None

    @property
    def expired(self) -> bool:
        """Consent is gone for good; the peer is to be removed."""
        return False

    def set_remote(self, ufrag: str, pwd: str) -> None:
        """Tell the remote credentials once known; checks are then refused unless they name this ufrag."""

    def restart(self, credentials: Credentials) -> None:
        """Take new local credentials (RFC 8445, section 9); the selected 5-tuple stays until a new one is nominated."""

    def receive(self, data: bytes, source: Address, local: int, now: int) -> IceReceived:
        """Take a STUN datagram from `source` on socket `local`."""
        raise ValueError(data, source, local, now)

    def timer(self) -> int | None:
        """When `handle_timer` has work next, in ns; None when expired."""
        return None

    def handle_timer(self, now: int) -> None:
        """Let consent lapse when it is due; see `expired`."""
