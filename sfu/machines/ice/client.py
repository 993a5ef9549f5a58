"""A minimal controlling ICE agent (RFC 8445) for lite remotes, used by the Python client, tests and load generators.

It has one local socket and knows the remote candidates from the start. The first candidate that answers is nominated at
once: a lite remote never checks back, so there is nothing to wait for.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sfu.formats import stun
from sfu.machines.ice.lite import CONSENT_NS, Address, Credentials

PACING_NS = 20_000_000
FIRST_RETRANSMISSION_NS = 100_000_000
MAX_RETRANSMISSION_NS = 1_600_000_000
CONNECT_NS = 15_000_000_000
CONSENT_INTERVAL_NS = 5_000_000_000
_HOST_PRIORITY = (126 << 24) | (65535 << 8) | 255


class Check(NamedTuple):
    """A STUN message to send to a candidate."""

    data: bytes
    destination: Address


@dataclass(slots=True)
class _Candidate:
    address: Address
    due: int
    interval: int = FIRST_RETRANSMISSION_NS
    transaction: bytes = b""


class IceClient:
    """The controlling side of one peer."""

    def __init__(
        self, local: Credentials, remote: Credentials, candidates: Sequence[Address], tie_breaker: int, now: int
    ) -> None:
        """Begin checks to all `candidates` at `now`; `tie_breaker` is a random 64-bit number."""
        self._local = local
        self._remote = remote
        self._tie_breaker = tie_breaker
        self._random = random.Random(tie_breaker)  # noqa: S311 - spreads consent checks, not a secret
        self._candidates = [
            _Candidate(address, now + index * PACING_NS) for index, address in enumerate(dict.fromkeys(candidates))
        ]
        self._chosen: _Candidate | None = None
        self._nominated = False
        self._deadline = now + CONNECT_NS
        self._failed = not self._candidates
        self._outgoing: list[Check] = []

    @property
    def selected(self) -> Address | None:
        """The remote address that answered first and is being nominated, None before that."""
        return None if self._chosen is None else self._chosen.address

    @property
    def nominated(self) -> bool:
        """True if the remote has answered a check with USE-CANDIDATE."""
        return self._nominated

    @property
    def failed(self) -> bool:
        """True if no candidate answered in time, or consent was lost (RFC 7675)."""
        return self._failed

    def receive(self, data: bytes, source: Address, now: int) -> str | None:
        """Take a STUN datagram; return why it was refused, or None."""
        try:
            message = stun.parse(data)
        except ValueError:
            return "malformed"
        if message.method != stun.BINDING:
            return "not_binding"
        if message.message_class is stun.MessageClass.REQUEST:
            return self._answer(data, message, source)
        return self._take_response(data, message, source, now)

    def datagrams_to_send(self, now: int) -> list[Check]:
        """Return the messages due by `now`: checks, their retransmissions, consent checks, responses."""
        self.handle_timer(now)
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def timer(self) -> int | None:
        """Return when something is due next, in ns; None once failed."""
        if self._failed:
            return None
        return min(self._deadline, *(candidate.due for candidate in self._active()))

    def handle_timer(self, now: int) -> None:
        """Advance retransmissions and consent to `now`."""
        if not self._failed and now >= self._deadline:
            self._failed = True
        if self._failed:
            return
        for candidate in self._active():
            if candidate.due <= now:
                candidate.transaction = candidate.transaction or secrets.token_bytes(12)
                self._outgoing.append(Check(self._check(candidate.transaction), candidate.address))
                candidate.due = now + candidate.interval
                candidate.interval = min(2 * candidate.interval, MAX_RETRANSMISSION_NS)

    def _active(self) -> list[_Candidate]:
        return self._candidates if self._chosen is None else [self._chosen]

    def _check(self, transaction: bytes) -> bytes:
        message = stun.Message(
            stun.MessageClass.REQUEST,
            transaction,
            username=f"{self._remote.ufrag}:{self._local.ufrag}",
            priority=_HOST_PRIORITY,
            use_candidate=self._chosen is not None,
            controlling=self._tie_breaker,
        )
        return stun.serialize(message, self._remote.pwd.encode())

    def _take_response(self, data: bytes, message: stun.Message, source: Address, now: int) -> str | None:
        if message.message_class is not stun.MessageClass.SUCCESS:
            return "error_response"
        candidate = next((one for one in self._candidates if one.transaction == message.transaction_id), None)
        if candidate is None or candidate.address != source:
            return "unknown_transaction"
        if not stun.verify_integrity(data, self._remote.pwd.encode()):
            return "wrong_integrity"
        self._succeed(candidate, now)
        return None

    def _succeed(self, candidate: _Candidate, now: int) -> None:
        candidate.transaction = b""
        candidate.interval = FIRST_RETRANSMISSION_NS
        if self._chosen is None:
            self._chosen = candidate
            candidate.due = now
        elif candidate is self._chosen:
            self._nominated = True
            candidate.due = now + int(CONSENT_INTERVAL_NS * self._random.uniform(0.8, 1.2))
        self._deadline = now + CONSENT_NS

    def _answer(self, data: bytes, message: stun.Message, source: Address) -> str | None:
        ours = (message.username or "").partition(":")[0]
        if ours != self._local.ufrag:
            return "wrong_ufrag"
        if not stun.verify_integrity(data, self._local.pwd.encode()):
            return "wrong_integrity"
        response = stun.Message(stun.MessageClass.SUCCESS, message.transaction_id, xor_mapped_address=source)
        if len(self._outgoing) < 64:
            self._outgoing.append(Check(stun.serialize(response, self._local.pwd.encode()), source))
        return None
