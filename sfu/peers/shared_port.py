"""One worker's view of a UDP port shared by several workers: datagrams that it accepts, and those that it hands on.

The kernel steers datagrams by their source (machines.port_steering), once it knows the source's worker. Datagrams that
reach the wrong worker before that, or for lack of room in the program, are handed on here: checks by their user
fragment, others by the paths that the other workers have announced. A handshake whose path has not been announced yet
is held for a moment. Datagrams from sources that no worker knows are dropped.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from sfu.engine.contract import Drop, Leftover, LeftoverKind
from sfu.machines import port_steering
from sfu.machines.ice.lite import FiveTuple

MAX_HELD = 256
HELD_NS = 200_000_000
MAX_HANDED = 256
"""The maximum number of datagrams handed on in a step, which spares other workers a flood."""


class PathNews(NamedTuple):
    """An announcement that a path of a worker's began or ended."""

    worker: int
    came: bool
    path: FiveTuple


class SharedPort:
    """The share of worker number `worker`, counted from 0. `drops` counts datagrams that could not be handed on."""

    def __init__(self, worker: int, drops: Counter[Drop]) -> None:
        self.worker = worker
        self.mark = port_steering.mark(worker)
        self.news: list[PathNews] = []
        """Announcements to the other workers."""
        self.handed: dict[int, list[Leftover]] = {}
        """Datagrams to hand on, by worker."""
        self.handed_on = 0
        self._drops = drops
        self._owners: dict[FiveTuple, int] = {}
        self._held: deque[tuple[int, Leftover]] = deque()
        self._room = MAX_HANDED

    def came(self, path: FiveTuple) -> None:
        """Announce a path of ours that has been validated."""
        self.news.append(PathNews(self.worker, True, path))

    def went(self, path: FiveTuple) -> None:
        """Announce that a path of ours has ended."""
        self.news.append(PathNews(self.worker, False, path))

    def learn(self, news: Iterable[PathNews]) -> None:
        """Take announcements of other workers; held datagrams for them are handed on."""
        for worker, came, path in news:
            if came and worker != self.worker:
                self._owners[path] = worker
            elif not came and self._owners.get(path) == worker:
                del self._owners[path]
        held, self._held = self._held, deque()
        for until, leftover in held:
            if not self._hand_by_source(leftover):
                self._held.append((until, leftover))

    def forget(self) -> None:
        """Forget all announcements of others, who will repeat them."""
        self._owners.clear()

    def stray(self, leftover: Leftover, now: int) -> bool:
        """Take a datagram from a source that is none of our peers'; return whether it is, or may be, for another
        worker.
        """
        self._expire(now)
        if leftover.kind == LeftoverKind.STRAY:
            if not self._hand_by_source(leftover):
                self._drops[Drop.UNKNOWN_SOURCE] += 1
            return True
        if self._hand_by_source(leftover):
            return True
        if leftover.kind == LeftoverKind.DTLS and len(self._held) < MAX_HELD:
            self._held.append((now + HELD_NS, leftover))
            return True
        return False

    def check(self, leftover: Leftover, ufrag: str) -> bool:
        """Take a check that is for none of our peers; return whether it names another worker."""
        worker = port_steering.worker_of(ufrag)
        if worker in (-1, self.worker):
            return False
        self._hand(worker, leftover)
        return True

    def take_handed(self) -> dict[int, list[Leftover]]:
        """Return the datagrams to hand to other workers."""
        handed, self.handed = self.handed, {}
        self._room = MAX_HANDED
        return handed

    def _hand_by_source(self, leftover: Leftover) -> bool:
        worker = self._owners.get(FiveTuple(leftover.source, leftover.local))
        if worker is None:
            return False
        self._hand(worker, leftover)
        return True

    def _hand(self, worker: int, leftover: Leftover) -> None:
        if self._room <= 0:
            self._drops[Drop.NOT_HANDED_ON] += 1
            return
        self._room -= 1
        self.handed_on += 1
        self.handed.setdefault(worker, []).append(leftover)

    def _expire(self, now: int) -> None:
        while self._held and self._held[0][0] <= now:
            self._held.popleft()
