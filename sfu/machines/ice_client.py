"""A minimal controlling ICE agent (RFC 8445) towards a lite one: for the Python client, tests and load generators.

One local socket, remote candidates that are known up front; regular nomination is replaced by USE-CANDIDATE on the
first pair that answers, since the lite side never checks back.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.machines.ice import Address, Credentials


class Check(NamedTuple):
    """A STUN message to send to a candidate."""

    data: bytes
    destination: Address


class IceClient:
    """The controlling side of one peer."""

    def __init__(
        self, local: Credentials, remote: Credentials, candidates: Sequence[Address], tie_breaker: int, now: int
    ) -> None:
        """Checks to all `candidates` begin at `now`; `tie_breaker` is a random 64-bit number."""

    @property
    def selected(self) -> Address | None:
        """The nominated remote address, None before."""
        return None

    @property
    def failed(self) -> bool:
        """No candidate answered in time, or consent was lost (RFC 7675)."""
        return False

    def receive(self, data: bytes, source: Address, now: int) -> str | None:
        """Take a STUN datagram; return why it was refused, or None."""
        raise ValueError(data, source, now)

    def datagrams_to_send(self, now: int) -> list[Check]:
        """Return what is due by `now`: checks, their retransmissions, consent checks, responses."""
        return []

    def timer(self) -> int | None:
        """When something is due next, in ns; None when failed."""
        return None

    def handle_timer(self, now: int) -> None:
        """Advance retransmissions and consent to `now`."""
