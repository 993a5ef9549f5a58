"""DTLS-SRTP (RFC 5764) of one peer over OpenSSL's memory BIO: no socket, no task.

DTLS 1.2 (RFC 6347); a DTLS 1.3 hello falls back to it. OpenSSL keeps its retransmission timer by the wall clock:
`timer()` is an estimate in the caller's clock, and `handle_timer` asks OpenSSL whether it agrees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sfu.formats.sdp import Fingerprint
from sfu.machines.dtls_certificate import DtlsCertificate
from sfu.machines.negotiation import DtlsRole

MTU = 1200


class DtlsState(Enum):
    NEW = "new"
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class DtlsKeys:
    """SRTP keys of the association: IANA profile number, and per direction master key followed by master salt."""

    profile: int
    receive: bytes
    send: bytes


class Dtls:
    """One association. Feed it only datagrams from 5-tuples that ICE has validated."""

    def __init__(self, certificate: DtlsCertificate) -> None:
        self._certificate = certificate

    @property
    def state(self) -> DtlsState:
        return DtlsState.NEW

    @property
    def close_reason(self) -> str:
        """Why the state is CLOSED: closed_locally, closed_by_remote, fingerprint_mismatch, no_srtp_profile, ..."""
        return ""

    @property
    def keys(self) -> DtlsKeys | None:
        """The SRTP keys while CONNECTED, else None."""
        return None

    @property
    def dropped(self) -> int:
        """Datagrams dropped as malformed or over a bound."""
        return 0

    def start(self, role: DtlsRole, fingerprints: Sequence[Fingerprint], now: int) -> None:
        """Begin: as client send the hello, as server await one. Datagrams held since before are taken now.

        ValueError when started twice or without a usable fingerprint (sha-256, sha-384, sha-512).
        """

    def receive(self, data: bytes, now: int) -> None:
        """Take a datagram; before `start` a few are held (the answer may come later than the hello)."""

    def datagrams_to_send(self) -> list[bytes]:
        """Return what is to be sent now, each at most MTU bytes."""
        return []

    def timer(self) -> int | None:
        """When `handle_timer` is to be called next, in ns, or None."""
        return None

    def handle_timer(self, now: int) -> None:
        """Retransmit the flight when due; too many retransmissions close the association (handshake_timeout)."""

    def close(self, now: int) -> None:
        """Send close_notify and close."""
