"""ICE-lite (RFC 8445, section 2.5) for one peer: answers checks, learns 5-tuples, watches consent (RFC 7675).

Consent follows from the remote's checks: a peer without a valid check for CONSENT_NS has expired.

The 5-tuple to send to, `selected`, is the nominated pair with the highest priority among those with the newest
credentials. It gives way to a nominated pair of lower priority if it has not been checked for a while, or if its own
checks no longer nominate it, as when browsers move to another network. Before any nomination the best validated pair is
used. The priority of a pair is the PRIORITY of its checks, since all our candidates are host candidates of one socket.

One departure from the RFC: a lite agent sends no checks, so it believes the source address of anyone who knows the
password. That address can be forged, and media would go to a third party. Therefore, once the peer is established, a
pair is selected only after it has answered a check of ours (RFC 8445, section 7.3.1.4). We send it when the pair would
be selected, so a move takes one round trip.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from sfu.formats import stun
from sfu.formats.sdp import Candidate

CONSENT_NS = 30_000_000_000
MAX_PAIRS = 32
RENOMINATION_NS = 3_000_000_000  # longer than the interval of Chromium's checks on the pair that it uses (2.5 s)
SILENCE_NS = 8_000_000_000  # longer than the interval of consent checks (RFC 7675: 5 s, at most 6)
QUESTION_NS = 150_000_000  # before our check is sent again, doubled each time
MAX_QUESTIONS = 3
_HOST_PRIORITY = 126 << 24 | 65535 << 8 | 255
_TCP_TYPE_PREFERENCE = 90
_PASSIVE_PREFERENCE = 4

Address = tuple[str, int]


class FiveTuple(NamedTuple):
    """The source of a datagram, and the index of our socket that received it."""

    source: Address
    local: int


class Refusal(Enum):
    """The reason why a STUN message was not accepted."""

    MALFORMED = "malformed"
    NOT_A_REQUEST = "not_a_request"
    NO_INTEGRITY = "no_integrity"
    WRONG_UFRAG = "wrong_ufrag"
    WRONG_INTEGRITY = "wrong_integrity"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    ROLE_CONFLICT = "role_conflict"
    UNKNOWN_TRANSACTION = "unknown_transaction"
    EXPIRED = "expired"


class Credentials(NamedTuple):
    """An ICE user fragment and password (RFC 8445, section 5.3)."""

    ufrag: str
    pwd: str


class IceCheck(NamedTuple):
    """A check of ours and its destination."""

    data: bytes
    five_tuple: FiveTuple


class IceReceived(NamedTuple):
    """The result of a STUN message.

    `response` is to be sent back to the source from the same socket. `validated` is a newly validated 5-tuple, from
    which DTLS and SRTP may now be accepted. `selected` is set if the 5-tuple to send to changed. `dismissed` lists
    5-tuples removed to make room. `refused` is the reason why the message was not accepted.
    """

    response: bytes | None = None
    validated: FiveTuple | None = None
    selected: FiveTuple | None = None
    dismissed: tuple[FiveTuple, ...] = ()
    refused: Refusal | None = None


class Repeatable(NamedTuple):
    """A check that may be repeated on the same 5-tuple without a new decision: its raw attributes, and the key that
    signs request and response.
    """

    five_tuple: FiveTuple
    attributes: bytes
    key: bytes


def generate_credentials(mark: str = "") -> Credentials:
    """Return random credentials: 8 characters of ufrag, 32 of password (RFC 8445, section 5.3: 24 and 128 bits).

    The ufrag begins with `mark`.
    """
    return Credentials(mark + secrets.token_hex(4), secrets.token_hex(16))


@lru_cache(maxsize=1)
def _parsed(data: bytes) -> stun.Message:
    """Return the parsed message, cached since each check is parsed twice: to find its peer, and by the peer."""
    return stun.parse(data)


def local_ufrag(data: bytes) -> str | None:
    """Return our ufrag from a binding request's USERNAME ("ours:theirs"), to find its peer; None if there is none.

    Nothing is verified.
    """
    try:
        message = _parsed(data)
    except ValueError:
        return None
    if message.message_class is not stun.MessageClass.REQUEST or message.username is None:
        return None
    ufrag, colon, _ = message.username.partition(":")
    return ufrag if colon and ufrag else None


def lite_candidates(addresses: Sequence[Address], announced: Sequence[Address] = ()) -> tuple[Candidate, ...]:
    """Return UDP host candidates of announced public addresses (1:1 NAT), then of our own, in descending priority.

    Addresses are IP literals; a repeated one is listed once (RFC 8445, sections 5.1.1 and 5.1.2).
    """
    candidates = []
    for index, (address, port) in enumerate(dict.fromkeys((*announced, *addresses))):
        literal = str(ip_address(address))
        priority = (126 << 24) | (max(65535 - index, 0) << 8) | 255
        candidates.append(Candidate(str(index + 1), 1, "udp", priority, literal, port, "host"))
    return tuple(candidates)


def tcp_candidates(addresses: Sequence[Address], announced: Sequence[Address] = ()) -> tuple[Candidate, ...]:
    """Return passive TCP host candidates like `lite_candidates`, with priorities below UDP's (RFC 6544, section
    4.2).
    """
    candidates = []
    for index, (address, port) in enumerate(dict.fromkeys((*announced, *addresses))):
        literal = str(ip_address(address))
        preference = (_PASSIVE_PREFERENCE << 13) | max(8191 - index, 0)
        priority = (_TCP_TYPE_PREFERENCE << 24) | (preference << 8) | 255
        passive = (("tcptype", "passive"),)
        candidates.append(Candidate(f"t{index + 1}", 1, "tcp", priority, literal, port, "host", extensions=passive))
    return tuple(candidates)


@dataclass(slots=True)
class _Generation:
    """The credentials of one ICE session; a restart begins the next."""

    number: int
    local: Credentials
    remote: Credentials | None = None


@dataclass(slots=True)
class _Pair:
    five_tuple: FiveTuple
    generation: int
    priority: int
    seen: int
    nominated: bool = False
    nominating: bool = False  # the newest check carried USE-CANDIDATE
    attributes: bytes = b""  # of the newest check; later ones, every few seconds, do not differ otherwise
    proved: bool = False  # the remote has received what we sent there
    transaction: bytes = b""  # of our unanswered check
    asked: int = 0
    due: int = 0


class IceLite:
    """The controlled, lite side of one peer."""

    def __init__(self, credentials: Credentials, now: int) -> None:
        """Start at `now`: without a valid check within CONSENT_NS the peer expires."""
        self._generation = _Generation(0, credentials)
        self._previous: _Generation | None = None
        self._pairs: dict[FiveTuple, _Pair] = {}
        self._selected: _Pair | None = None
        self._consent = now
        self._expired = False
        self._established = False
        self._tie_breaker = secrets.randbits(64)
        self._checks: list[IceCheck] = []

    @property
    def credentials(self) -> Credentials:
        return self._generation.local

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Our ufrags that checks may name: the current one and, during a restart, the previous one."""
        previous = () if self._previous is None else (self._previous.local.ufrag,)
        return (self._generation.local.ufrag, *previous)

    @property
    def selected(self) -> FiveTuple | None:
        """The path to send on; None before the first valid check."""
        return None if self._selected is None else self._selected.five_tuple

    @property
    def nominated(self) -> bool:
        """True if `selected` was nominated by the remote."""
        return self._selected is not None and self._selected.nominated

    @property
    def pairs(self) -> tuple[FiveTuple, ...]:
        """All validated 5-tuples."""
        return tuple(self._pairs)

    @property
    def expired(self) -> bool:
        """True once consent has expired; the peer must be removed."""
        return self._expired

    def set_remote(self, ufrag: str, pwd: str) -> None:
        """Set the remote credentials once they are known; from then on checks must name this ufrag."""
        self._generation.remote = Credentials(ufrag, pwd)
        for pair in self._pairs.values():
            pair.attributes = b""

    def restart(self, credentials: Credentials) -> None:
        """Take new local credentials (RFC 8445, section 9); the selected 5-tuple stays until a new one is nominated."""
        self._previous = self._generation
        self._generation = _Generation(self._previous.number + 1, credentials)

    def receive(
        self, data: bytes, source: Address, local: int, now: int, *, mapped: Address | None = None
    ) -> IceReceived:
        """Take a STUN datagram from `source` on socket `local`; `mapped` is the sender's own address if it differs.

        The addresses differ for packets over TCP.
        """
        try:
            message = _parsed(data)
        except ValueError:
            return IceReceived(refused=Refusal.MALFORMED)
        if message.method == stun.BINDING and message.message_class is stun.MessageClass.SUCCESS:
            return self._answered(data, message, FiveTuple(source, local), now)
        if message.message_class is not stun.MessageClass.REQUEST or message.method != stun.BINDING:
            return IceReceived(refused=Refusal.NOT_A_REQUEST)
        if self._expired:
            return IceReceived(refused=Refusal.EXPIRED)
        generation = self._addressed(message.username or "")
        refused = _examine(data, message, generation)
        if refused is not None or generation is None:
            return refused or IceReceived(refused=Refusal.WRONG_UFRAG)
        accepted = self._accept(message, FiveTuple(source, local), generation, now, mapped or source)
        self._pairs[FiveTuple(source, local)].attributes = stun.attributes_of(data)
        return accepted

    def repeatable(self) -> Repeatable | None:
        """Return the newest check of the selected pair, None if there is none. The caller may answer repetitions of it
        without this object, and report them to `refresh`.
        """
        pair = self._selected
        if pair is None or self._expired or pair.generation != self._generation.number or not pair.attributes:
            return None
        return Repeatable(pair.five_tuple, pair.attributes, self._generation.local.pwd.encode())

    def refresh(self, at: int) -> None:
        """Note that repetitions of `repeatable` were answered elsewhere, the newest at `at`."""
        if self._selected is not None:
            self._selected.seen = max(self._selected.seen, at)
            self._consent = max(self._consent, at)

    def establish(self, reached: Collection[FiveTuple], now: int) -> bool:
        """Note that the handshake is done, and where its datagrams went; return whether `selected` may get media now.

        If they all went to one pair, the remote has received them there. Other pairs must be checked first.
        """
        only = self._pairs.get(next(iter(reached))) if len(reached) == 1 else None
        if only is not None:
            only.proved = True
        wanted = self._selected
        if wanted is not None and not wanted.proved:
            self._ask(wanted, now)
        proved = [pair for pair in self._pairs.values() if pair.proved]
        if not proved:
            return False
        self._established = True
        if wanted is None or not wanted.proved:
            self._selected = max(proved, key=_rank)
        return True

    def checks_to_send(self) -> list[IceCheck]:
        """Return our checks to send now."""
        checks, self._checks = self._checks, []
        return checks

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns; None once expired."""
        if self._expired:
            return None
        times = [self._consent + CONSENT_NS]
        for pair in self._pairs.values():
            times.append(pair.seen + CONSENT_NS)
            if pair.transaction:
                times.append(pair.due)
        return min(times)

    def handle_timer(self, now: int) -> tuple[FiveTuple, ...]:
        """Check whether consent has expired (see `expired`); return the 5-tuples to dismiss.

        `selected` may have changed, to None if no remaining pair may get media. Checks of ours may be due.
        """
        if self._expired:
            return ()
        for pair in self._pairs.values():
            if pair.transaction and pair.due <= now:
                self._ask_again(pair, now)
        lapsed = tuple(five_tuple for five_tuple, pair in self._pairs.items() if now - pair.seen >= CONSENT_NS)
        for five_tuple in lapsed:
            self._forget(five_tuple)
        if self._selected is None and self._pairs:
            self._select(max(self._pairs.values(), key=_rank), now)
        self._expired = now - self._consent >= CONSENT_NS
        return lapsed

    def _addressed(self, username: str) -> _Generation | None:
        ours, colon, theirs = username.partition(":")
        for generation in (self._generation, self._previous):
            if generation is None or not colon or ours != generation.local.ufrag:
                continue
            if generation.remote is None or generation.remote.ufrag == theirs:
                return generation
        return None

    def _accept(
        self, message: stun.Message, five_tuple: FiveTuple, generation: _Generation, now: int, mapped: Address
    ) -> IceReceived:
        self._consent = now
        dismissed: tuple[FiveTuple, ...] = ()
        pair = self._pairs.get(five_tuple)
        is_new = pair is None
        if pair is None:
            if len(self._pairs) >= MAX_PAIRS:
                dismissed = (self._evict(),)
            pair = _Pair(five_tuple, generation.number, 0, now)
            self._pairs[five_tuple] = pair
        if generation.number > pair.generation:
            pair.generation, pair.nominated = generation.number, False
        pair.priority = message.priority or 0
        pair.seen = now
        pair.nominating = message.use_candidate
        pair.nominated = pair.nominated or message.use_candidate
        changed = self._select(pair, now)
        if self._previous is not None and pair.nominated and pair.generation == self._generation.number:
            self._previous = None
        return IceReceived(
            response=_success(message.transaction_id, mapped, generation),
            validated=five_tuple if is_new else None,
            selected=five_tuple if changed else None,
            dismissed=dismissed,
        )

    def _select(self, pair: _Pair, now: int) -> bool:
        """Select `pair`, which was just checked, if the rules in the module's docstring say so."""
        current = self._selected
        if current is pair:
            return False
        if current is not None and not self._gives_way(current, pair, now):
            return False
        if self._established and not pair.proved:
            self._ask(pair, now)
            return False
        self._selected = pair
        return True

    def _ask(self, pair: _Pair, now: int) -> None:
        """Send the pair a check of ours, unless one is under way or the remote credentials are unknown."""
        if not pair.transaction and self._generation.remote is not None:
            pair.transaction, pair.asked = secrets.token_bytes(12), 0
            self._ask_again(pair, now)

    def _ask_again(self, pair: _Pair, now: int) -> None:
        """Send our check, at most MAX_QUESTIONS times; afterwards the pair's next check may start another."""
        remote = self._generation.remote
        if pair.asked == MAX_QUESTIONS or remote is None:
            pair.transaction = b""
            return
        message = stun.Message(
            stun.MessageClass.REQUEST,
            pair.transaction,
            username=f"{remote.ufrag}:{self._generation.local.ufrag}",
            priority=_HOST_PRIORITY,
            controlled=self._tie_breaker,
        )
        self._checks.append(IceCheck(stun.serialize(message, remote.pwd.encode()), pair.five_tuple))
        pair.due = now + (QUESTION_NS << pair.asked)
        pair.asked += 1

    def _answered(self, data: bytes, message: stun.Message, five_tuple: FiveTuple, now: int) -> IceReceived:
        """Take the response to a check of ours, which only its receiver can give."""
        pair, remote = self._pairs.get(five_tuple), self._generation.remote
        if pair is None or remote is None or not pair.transaction or pair.transaction != message.transaction_id:
            return IceReceived(refused=Refusal.UNKNOWN_TRANSACTION)
        if not stun.verify_integrity(data, remote.pwd.encode()):
            return IceReceived(refused=Refusal.WRONG_INTEGRITY)
        pair.transaction, pair.proved = b"", True
        return IceReceived(selected=pair.five_tuple if self._select(pair, now) else None)

    def _gives_way(self, current: _Pair, pair: _Pair, now: int) -> bool:
        if pair.nominating and pair.generation != current.generation:
            return pair.generation > current.generation
        if current.nominated and not pair.nominating:
            return now - current.seen > SILENCE_NS
        if current.nominated:
            yields = not current.nominating or now - current.seen > RENOMINATION_NS
            return yields or pair.priority >= current.priority
        return pair.nominating or pair.priority >= current.priority

    def _evict(self) -> FiveTuple:
        idle = [pair for pair in self._pairs.values() if pair is not self._selected]
        five_tuple = min(idle, key=lambda pair: pair.seen).five_tuple
        self._forget(five_tuple)
        return five_tuple

    def _forget(self, five_tuple: FiveTuple) -> None:
        pair = self._pairs.pop(five_tuple)
        if pair is self._selected:
            self._selected = None


def _success(transaction_id: bytes, mapped: Address, generation: _Generation) -> bytes:
    response = stun.Message(stun.MessageClass.SUCCESS, transaction_id, xor_mapped_address=mapped)
    return stun.serialize(response, generation.local.pwd.encode())


def _rank(pair: _Pair) -> tuple[int, bool, int]:
    return (pair.generation, pair.nominated, pair.priority)


def _examine(data: bytes, message: stun.Message, generation: _Generation | None) -> IceReceived | None:
    """Return the refusal of a binding request, or None. Checks follow RFC 8489, section 9.1.3, then ICE's own."""
    if message.username is None or not message.has_integrity:
        return _refuse(Refusal.NO_INTEGRITY, data, message, (400, "Bad Request"), None)
    if generation is None:
        return _refuse(Refusal.WRONG_UFRAG, data, message, (401, "Unauthorized"), None)
    key = generation.local.pwd.encode()
    if not stun.verify_integrity(data, key):
        return _refuse(Refusal.WRONG_INTEGRITY, data, message, (401, "Unauthorized"), None)
    if message.unknown_required:
        return _refuse(Refusal.UNKNOWN_ATTRIBUTE, data, message, (420, "Unknown Attribute"), key)
    if message.controlled is not None:
        return _refuse(Refusal.ROLE_CONFLICT, data, message, (487, "Role Conflict"), key)
    return None


def _refuse(
    reason: Refusal, data: bytes, request: stun.Message, error: tuple[int, str], key: bytes | None
) -> IceReceived:
    """Answer with an error, which is never longer than an unauthenticated request, to prevent amplification."""
    unknown = request.unknown_required if error[0] == 420 else ()
    message = stun.Message(stun.MessageClass.ERROR, request.transaction_id, error=error, unknown_attributes=unknown[:8])
    response = stun.serialize(message, key)
    is_fair = key is not None or len(response) <= len(data)
    return IceReceived(response=response if is_fair else None, refused=reason)
