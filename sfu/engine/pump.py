"""The path from the sockets through the engine and back, within a time budget. The loop's reader calls it.

Datagrams that were read but not forwarded when the budget is spent wait in a bounded backlog, where audio overtakes
video. While it is full, the sockets are still read, since they hold audio too, but video is dropped
(Drop.BACKLOG_FULL). Video that has waited for STALE_NS is dropped (Drop.STALE), and so is what follows of its stream:
some pictures are then missing entirely, instead of packets of all of them. An engine that does its own input and output
(DirectEngine) keeps that backlog itself, and continues with the stream's next keyframe; here the stream continues once
the backlog is empty.

A process that was stopped for a moment catches up with what came meanwhile sooner than keyframes of all streams would
come, so that video may wait for STALE_AFTER_STOP_NS.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from sfu.engine.contract import Address, Datagram, Drop, Engine, Outgoing, Result
from sfu.engine.pump_times import PumpTimes
from sfu.engine.sockets import ReceiveBuffers, Sockets

BUDGET = 2_000_000
BACKLOG_DATAGRAMS = 49152
STALE_NS = 200_000_000
HELD_NS = 200_000_000
"""A wait in a socket that shows that the process was stopped: one that is short of time still reads sockets first."""
STALE_AFTER_STOP_NS = 500_000_000
CATCHES_UP_NS = 1_000_000_000
_READ_DATAGRAMS = 256
_MIN_CHUNK = 8
_MAX_CHUNK = 64


@runtime_checkable
class DirectEngine(Protocol):
    """An engine that reads and writes the sockets itself, without an object per datagram.

    It forwards in slices and reads the sockets between them. Audio that arrived meanwhile precedes the rest of other
    streams and packets held by pacing. If the fan-out of its stream is under way, a packet joins at the current route,
    then wraps around to the routes already served.
    """

    def receive_and_forward(
        self, filenos: Sequence[int], now: int, deadline: int, unread: Iterable[int] = ()
    ) -> Result:
        """Read waiting datagrams, except from sockets `unread`, forward and send until `deadline`; `outgoing` stays
        empty.

        Audio under way at the deadline may take as long again, since a fan-out of 500 exceeds the budget.
        """

    def attend(
        self,
        filenos: Sequence[int],
        now: int,
        until: int,
        unread: Iterable[int] = (),
        *,
        pause: int,
        budget: int,
        together: int,
        waker: int = -1,
    ) -> Result:
        """Repeat `receive_and_forward`, each time within `budget`, without the interpreter in between.

        At first, and after a poll that found something, it waits for `pause`; after one that found nothing, until
        something arrives. After a poll it sends packets that pacing releases, and feedback that is due, including what
        is due within `together`. It returns at `until`; or earlier, if packets remain in the backlog, if there is
        anything to report except RTCP reports, which can wait, or if the descriptor `waker` is readable.
        """

    @property
    def rested(self) -> int:
        """The total time (ns) that `attend` has waited."""

    def acknowledge_directly(self, filenos: Sequence[int], now: int) -> None:
        """Send the transport-wide feedback that is due by `now`."""

    def release_directly(self, filenos: Sequence[int], now: int) -> None:
        """Send the packets that pacing releases by `now`; if audio waits, they stay due."""

    @property
    def waited(self) -> int:
        """The longest wait (ns) of any datagram that was read last or is in the backlog."""

    @property
    def backlog(self) -> bool:
        """True if packets wait that were already read."""

    @property
    def datagrams_read(self) -> int:
        """The number of datagrams read so far."""

    @property
    def marks(self) -> tuple[int, int, int, int]:
        """The number of datagrams read directly, by their ECN bits (RFC 3168)."""

    @property
    def sent_directly(self) -> tuple[int, int, Mapping[Drop, int]]:
        """The datagrams and bytes that the kernel accepted, and drops of those that it refused."""


class Pump:
    """Composes an engine and sockets. Only the loop's thread may call it. `times` holds the durations of its turns.

    After `receive_and_forward`, when `backlog` is true, the caller must call again without waiting for a reader
    (`loop.call_soon`), since the sockets may be empty already.
    """

    def __init__(
        self, engine: Engine, sockets: Sockets, *, budget: int = BUDGET, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._engine = engine
        self._direct = engine if isinstance(engine, DirectEngine) else None
        self._sockets = sockets
        if self._direct is not None:
            sockets.merge()
        self._ready: set[int] = set()
        self._budget = budget
        self._clock = clock
        self._audio: deque[Datagram] = deque()
        self._other: deque[tuple[int, Datagram]] = deque()
        """Pairs of a time of reading and a datagram."""
        self._taken: list[Datagram] = []
        self._chunk = _MAX_CHUNK
        self._datagrams_read = self._waited = 0
        self._stale_after = STALE_NS
        self._caught_up_at = 0
        self._turned_away: Counter[int] = Counter()
        self._all_turned_away = self._all_stale = 0
        self._cut: set[tuple[Address, bytes]] = set()
        """Streams, by source and SSRC, of which nothing is accepted until the backlog is empty."""
        self.times = PumpTimes()

    @property
    def backlog(self) -> bool:
        """True if datagrams wait that were already read."""
        if self._direct is not None:
            return self._direct.backlog
        return bool(self._audio or self._other)

    @property
    def datagrams_read(self) -> int:
        """The number of datagrams read so far."""
        return self._direct.datagrams_read if self._direct is not None else self._datagrams_read

    @property
    def waited(self) -> int:
        """The longest wait (ns) of any datagram that was read last or is in the backlog."""
        return self._direct.waited if self._direct is not None else self._waited

    @property
    def packets_in(self) -> int:
        """The number of new packets of streams so far."""
        return self._engine.packets_in

    @property
    def drops(self) -> Mapping[Drop, int]:
        """Drops by the engine and by sending, together."""
        drops = dict(self._engine.drops)
        for source in (self._sockets.drops, self._direct.sent_directly[2] if self._direct is not None else {}):
            for reason, packets in source.items():
                drops[reason] = drops.get(reason, 0) + packets
        drops[Drop.BACKLOG_FULL] = drops.get(Drop.BACKLOG_FULL, 0) + self._all_turned_away
        drops[Drop.STALE] = drops.get(Drop.STALE, 0) + self._all_stale
        return drops

    @property
    def counters(self) -> Mapping[str, int]:
        """The engine's totals; datagrams_out and bytes_out are those that the kernel accepted."""
        datagrams, size, _ = self._direct.sent_directly if self._direct is not None else (0, 0, {})
        return {
            **self._engine.counters,
            "datagrams_out": self._sockets.datagrams_out + datagrams,
            "bytes_out": self._sockets.bytes_out + size,
        }

    @property
    def marks(self) -> Mapping[str, int]:
        """The received datagrams with an ECN mark (RFC 3168), by mark."""
        direct = self._direct.marks if self._direct is not None else (0, 0, 0, 0)
        ours = self._sockets.marks
        return {name: ours[bits] + direct[bits] for name, bits in (("ect1", 1), ("ect0", 2), ("ce", 3))}

    def receive_buffers(self) -> ReceiveBuffers:
        """Return the fill and the drops of the sockets' receive buffers."""
        return self._sockets.receive_buffers()

    def ready(self, local: int) -> None:
        """Read this additional socket next time; the node's own are always read."""
        self._ready.add(local)

    def take(self, datagrams: Iterable[Datagram]) -> None:
        """Forward these next time, besides what waits at the sockets; the caller has read them itself."""
        self._taken += datagrams

    @property
    def attends(self) -> bool:
        """True if `attend` can be called, since the engine does its own input and output."""
        return self._direct is not None

    @property
    def rested(self) -> int:
        """The total time (ns) that `attend` has waited."""
        return self._direct.rested if self._direct is not None else 0

    def attend(self, now: int, until: int, pause: int, together: int = 0, waker: int = -1) -> Result:
        """Wait for `pause`, then repeat `receive_and_forward` until `until`; see `DirectEngine`."""
        assert self._direct is not None
        begun, rested = time.perf_counter_ns(), self._direct.rested
        try:
            return self._direct.attend(
                self._sockets.filenos(),
                now,
                until,
                self._unread(),
                pause=pause,
                budget=self._budget,
                together=together,
                waker=waker,
            )
        finally:
            self.times.add(time.perf_counter_ns() - begun - (self._direct.rested - rested))

    def receive_and_forward(self, now: int) -> Result:
        """Read waiting datagrams and forward within the budget. `outgoing` of the result is empty, since it has been
        sent.
        """
        begun = time.perf_counter_ns()
        try:
            result = self._receive_and_forward(now)
            if self._taken:
                result.add(self._forward_taken(now))
            return result
        finally:
            self.times.add(time.perf_counter_ns() - begun)

    def _forward_taken(self, now: int) -> Result:
        taken, self._taken = self._taken, []
        result = self._engine.process(taken, now)
        self._sockets.send(result.outgoing)
        result.outgoing = []
        return result

    def _receive_and_forward(self, now: int) -> Result:
        if self._direct is not None:
            return self._direct.receive_and_forward(self._sockets.filenos(), now, now + self._budget, self._unread())
        self._waited = 0
        begun = self._clock()
        self._read(now, begun)
        self._stale_after = STALE_AFTER_STOP_NS if begun < self._caught_up_at else STALE_NS
        total = Result()
        deadline = begun + self._budget
        self._drop_stale(begun)
        while self._audio or self._other:
            result = self._engine.process(self._next_chunk(begun), now)
            self._sockets.send(result.outgoing)
            total.add(result)
            ended = self._clock()
            self._adapt(ended - begun)
            if ended >= deadline:
                break
            begun = ended
        if self._other:
            self._waited = max(self._waited, now - self._other[0][1].arrival)
        else:
            self._cut.clear()
        return total

    def _unread(self) -> Collection[int]:
        """Return the additional sockets that have nothing to read."""
        own, every = len(self._sockets.addresses), len(self._sockets.filenos())
        unread: Collection[int] = set(range(own, every)) - self._ready if every > own else ()
        self._ready.clear()
        return unread

    def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Send datagrams that the engine or a peer (STUN, DTLS, RTCP) produced."""
        self._sockets.send(outgoing)

    def release(self, now: int) -> None:
        """Send the packets that pacing releases by `now`; call it at `next_release`."""
        begun = time.perf_counter_ns()
        if self._direct is not None:
            self._direct.release_directly(self._sockets.filenos(), now)
        else:
            self._sockets.send(self._engine.release(now))
        self.times.add(time.perf_counter_ns() - begun)

    def next_release(self) -> int | None:
        return self._engine.next_release()

    def acknowledge(self, now: int) -> None:
        """Send the transport-wide feedback that is due by `now`; call it at `next_feedback`."""
        if self._direct is not None:
            self._direct.acknowledge_directly(self._sockets.filenos(), now)
        else:
            self._sockets.send(self._engine.feedback(now))

    def next_feedback(self) -> int | None:
        return self._engine.next_feedback()

    def _read(self, now: int, at: int) -> None:
        for local in (*range(len(self._sockets.addresses)), *self._ready):
            for datagram in self._sockets.receive(local, _READ_DATAGRAMS):
                self._datagrams_read += 1
                waited = now - datagram.arrival
                self._waited = max(self._waited, waited)
                if waited > HELD_NS:
                    self._caught_up_at = at + CATCHES_UP_NS
                self._queue(datagram, at)
        self._ready.clear()

    def _queue(self, datagram: Datagram, at: int) -> None:
        is_audio = self._engine.is_audio(datagram)
        if not is_audio and len(self._other) >= BACKLOG_DATAGRAMS * (1 if _is_media(datagram) else 2):
            self._turned_away[datagram.local] += 1
            self._all_turned_away += 1
            return
        if is_audio:
            self._audio.append(self._after_losses(datagram))
        else:
            self._other.append((at, datagram))

    def _after_losses(self, datagram: Datagram) -> Datagram:
        lost = self._turned_away.pop(datagram.local, 0)
        return datagram._replace(dropped=datagram.dropped + lost) if lost else datagram

    def _next_chunk(self, now: int) -> list[Datagram]:
        if self._audio:
            chunk = list(self._audio)
            self._audio.clear()
            return chunk
        chunk = []
        for _ in range(min(self._chunk, len(self._other))):
            at, datagram = self._other.popleft()
            if _is_media(datagram) and self._leaves_out(datagram, is_stale=now - at > self._stale_after):
                self._turned_away[datagram.local] += 1
                self._all_stale += 1
            else:
                chunk.append(self._after_losses(datagram))
        return chunk

    def _drop_stale(self, now: int) -> None:
        """Drop video that has waited too long before audio is forwarded, which may take all the time."""
        while self._other and now - self._other[0][0] > self._stale_after and _is_media(self._other[0][1]):
            datagram = self._other.popleft()[1]
            self._leaves_out(datagram, is_stale=True)
            self._turned_away[datagram.local] += 1
            self._all_stale += 1

    def _leaves_out(self, datagram: Datagram, *, is_stale: bool) -> bool:
        """Return True if a packet must not be forwarded, since it or an earlier one of its stream has waited too
        long.
        """
        stream = datagram.source, datagram.data[8:12]
        if is_stale:
            self._cut.add(stream)
        return stream in self._cut

    def _adapt(self, elapsed: int) -> None:
        """Return the size of the next chunk: long chunks make long runs, which are cheap; short ones let audio in."""
        if elapsed > 4 * self._budget:
            self._chunk = max(_MIN_CHUNK, self._chunk // 2)
        elif elapsed < self._budget:
            self._chunk = min(_MAX_CHUNK, self._chunk * 2)


def _is_media(datagram: Datagram) -> bool:
    """Return True if a datagram is RTP (RFC 7983, RFC 5761); checks, handshakes and feedback are few, and needed."""
    data = datagram.data
    return len(data) > 1 and data[0] >> 6 == 2 and not 192 <= data[1] <= 223
