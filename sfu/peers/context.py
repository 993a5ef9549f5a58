"""The context that a node shares: engine, outbox, ids, counters, limits, schedule and wall clock."""

import heapq
import itertools
import secrets
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from sfu.engine.contract import Address, Drop, Engine
from sfu.engine.send_side_observer import SendSideObserver
from sfu.formats.ntp import ntp_time
from sfu.formats.sdp import Candidate
from sfu.machines.congestion.shared_line import SharedLines
from sfu.machines.dtls.certificate import DtlsCertificate
from sfu.machines.repair.repair_budget import RepairBudget
from sfu.peers.outbox import Outbox
from sfu.peers.peer import Peer
from sfu.peers.publish.resizer import Resizer
from sfu.peers.shared_port import SharedPort
from sfu.peers.unproved import UnprovedReceivers


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on everything that remote parties can grow."""

    audio_slots: int = 6
    video_slots: int = 48
    participants: int = 200
    rooms: int = 1000
    streams: int = 48
    transports: int = 32
    chat_characters: int = 4000
    resume_ns: int = 15_000_000_000


class Schedule:
    """A schedule of keys by time. Each key has one time; setting it again moves the key."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Hashable]] = []
        self._times: dict[Hashable, int] = {}
        self._order = itertools.count()

    def set(self, key: Hashable, at: int | None) -> None:
        """Wake `key` at `at`; None removes it."""
        if at is None:
            self._times.pop(key, None)
        elif self._times.get(key) != at:
            self._times[key] = at
            heapq.heappush(self._heap, (at, next(self._order), key))

    def hasten(self, key: Hashable, at: int) -> None:
        """Wake `key` at `at`, unless it is to wake earlier."""
        known = self._times.get(key)
        if known is None or at < known:
            self.set(key, at)

    def next(self) -> int | None:
        """Return the earliest time, or None."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> list[Hashable]:
        """Remove and return the keys whose time has come, earliest first."""
        keys = []
        while (at := self.next()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._times[key]
            keys.append(key)
        return keys


@dataclass(slots=True)
class Context:
    """The state that a node's rooms and peers share. `unix_offset` is Unix time minus the monotonic clock, in ns.

    `touched` holds the numbers of peers that may have something to send or a new timer; the node settles them. `routes`
    maps a route to its peer. `far_ends` maps each address that a plain transport sends to, with our socket, to its
    owner; `unproved` tracks receivers that nobody vouches for. `shared_lines` shows which subscribers share a line.
    `observer` is the engine, if subscribers' links are estimated. While the node is overloaded, only every `pace`-th
    report, check and statistic is made. `reached_from` finds the client behind one of this machine's own addresses.
    `resizers` cut the datagrams of some of our sockets before the engine takes them. `shared_port` is set if other
    workers use the same port.
    """

    engine: Engine
    certificate: DtlsCertificate
    candidates: tuple[Candidate, ...]
    node: str = "sfu"
    unix_offset: int = 0
    limits: Limits = field(default_factory=Limits)
    outbox: Outbox = field(default_factory=Outbox)
    schedule: Schedule = field(default_factory=Schedule)
    counters: Counter[str] = field(default_factory=Counter)
    drops: Counter[Drop] = field(default_factory=Counter)
    pace: int = 1
    repair_budget: RepairBudget = field(default_factory=RepairBudget)
    touched: set[int] = field(default_factory=set)
    routes: dict[int, int] = field(default_factory=dict)
    far_ends: dict[tuple[Address, int], int] = field(default_factory=dict)
    unproved: UnprovedReceivers = field(default_factory=UnprovedReceivers)
    shared_lines: SharedLines = field(default_factory=SharedLines)
    observer: SendSideObserver | None = None
    reached_from: Mapping[Address, Address] = field(default_factory=dict)
    resizers: dict[int, Resizer] = field(default_factory=dict)
    shared_port: SharedPort | None = None
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def number(self) -> int:
        """Return a new id for the engine's table."""
        return next(self._numbers)

    def peer(self, now: int) -> Peer:
        """Return a new peer with ICE and DTLS."""
        return Peer(
            self.number(),
            self.engine,
            self.certificate,
            now,
            drops=self.drops,
            reached_from=self.reached_from,
            shared_port=self.shared_port,
        )

    def unix_ms(self, now: int) -> int:
        return (now + self.unix_offset) // 1_000_000

    def ntp(self, now: int) -> int:
        """Return our NTP time (32.32 fixed point) at `now`."""
        return ntp_time(now + self.unix_offset)


def random_id(prefix: str) -> str:
    """Return an unguessable id."""
    return f"{prefix}-{secrets.token_hex(8)}"


def random_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
