"""Drives the rooms from the event loop: from sockets to pump, pump to node, and the node's outbox to its destinations,
with one timer.

A lone datagram is read at once. While many arrive, the sockets are polled at intervals instead, as network drivers do:
a wake-up costs more than a packet, and packets that are read together are sent together (`look_pause`). While nothing
else needs the loop, the engine polls by itself, also sends due paced packets and feedback, and returns after many polls
(`Pump.attend`). Without media and handshakes it waits for each datagram, and timers are rarer still.

Reading and forwarding go first. Policy work, from media and timers, gets a bounded share of each step; the rest waits
for the next step, before which the sockets are read again. Everything else that the loop runs ends with `flush`, which
lets media through if it has waited.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sfu.api.cascade_link import LinkMessage
from sfu.api.facts import AnyFact
from sfu.api.signaling import Message
from sfu.engine.contract import Datagram, LeftoverKind, Result
from sfu.engine.pump import Pump
from sfu.engine.sockets import Sockets
from sfu.peers.coalescing import COALESCING_NS
from sfu.peers.outbox import Failure, SessionClose
from sfu.rooms.node import Node
from sfu.server.look_pause import LookPause
from sfu.server.overload_watch import OverloadWatch
from sfu.server.precise_timer import PreciseTimer

_WALL_CLOCK_NS = 5_000_000_000
_GRID_NS = 5_000_000
"""The step to which the node's timers, but not the pacer's, are rounded up, so that peers share a wake-up."""
_HANDSHAKE_GAP_NS = 4_000_000
"""The pause between two polls if nobody has sent media for a while, but somebody is about to."""
_CALM_NS = 10_000_000
"""The same if nobody is about to, unless the engine can wait by itself."""
_CALM_GRID_NS = COALESCING_NS
"""The step for timers if nobody is about to, since checks and reports can wait a little."""
_LASTS_NS = 1_000_000_000
"""The time for which media, or a handshake, are assumed to continue after the last packet."""
_FEEDBACK_TOGETHER_NS = 10_000_000
"""The time by which feedback may be sent early, along with other peers'."""
_POLICY_NS = 700_000
"""The time for which policy works before sockets are read again, which is how long a packet may wait for it."""
_ATTENDING_NS = 20_000_000
"""The time for which the engine polls by itself; other descriptors of the loop end it, the loop's own timers wait."""
_BLINDLY_ATTENDING_NS = 2_000_000
"""The same on a loop that cannot tell, so that everything else that needs it waits."""
_ALONE_NS = 100_000
"""The time that a turn of the loop does not exceed unless it has other work."""
_AWAY_NS = 5_000_000
"""The time for which the sockets may go unread while the loop does other things."""

_RESIZED_DATAGRAMS = 64
"""The maximum number of datagrams that are read at once from a socket with a resizer."""
_LARGEST_BYTES = 9216
"""The size of such a datagram: the largest that Ethernet carries."""

_log = logging.getLogger(__name__)

ToSessions = Callable[[Iterable[tuple[int, Message] | SessionClose]], None]


class Driver:
    """Drives one node. Callers that change the node must call `flush` afterwards, on the loop's thread only."""

    def __init__(self, node: Node, pump: Pump, sockets: Sockets) -> None:
        self.node = node
        self._pump = pump
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None
        self._again: asyncio.Handle | None = None
        self._attending: asyncio.Handle | None = None
        self._left_at = 0
        self._waker = _descriptor_of(self._loop)
        self._look = PreciseTimer(self._loop, self._look_again)
        self._is_started = self._is_looking = False
        self._pause = LookPause()
        self.overload = OverloadWatch(node, pump, self._pause)
        self._read_at = self._media_at = self._handshake_at = self._packets_in = 0
        self._wall_clock_due = 0
        self.to_sessions: ToSessions = _nowhere
        self.to_facts: Callable[[Iterable[AnyFact]], None] = _nowhere
        self.to_opened: Sequence[Callable[[Iterable[str]], None]] = ()
        self.to_flights: Callable[[Iterable[Failure]], None] = _nowhere
        self.to_links: Callable[[Iterable[tuple[int, LinkMessage]], Iterable[int]], None] = lambda _, __: None
        self.to_sinks: Callable[[], None] = lambda: None
        self.to_transcoder: Callable[[], None] = lambda: None
        self.to_workers: Callable[[], None] = lambda: None

    def now(self) -> int:
        """Return the time to pass to the node, and keep its wall clock right."""
        now = time.monotonic_ns()
        if now >= self._wall_clock_due:
            self._wall_clock_due = now + _WALL_CLOCK_NS
            self.node.context.unix_offset = time.time_ns() - now
        return now

    def is_calm(self) -> bool:
        """Return True if no media has arrived for a while."""
        return time.monotonic_ns() - self._media_at >= _LASTS_NS

    def start(self) -> None:
        """Start reading the sockets."""
        self._is_started = True
        self._add_readers()

    def open_socket(self, beside: int, port: int) -> tuple[int, int]:
        """Open a socket on the address of socket `beside`, and read it; return its `local` and port. Raises OSError."""
        local, port = self._sockets.open(beside, port)
        self._loop.add_reader(self._sockets.filenos()[local], self._opened_readable, local)
        return local, port

    def shut_socket(self, local: int) -> None:
        """Shut an additional socket."""
        self._loop.remove_reader(self._sockets.filenos()[local])
        self._sockets.shut(local)

    def take(self, datagrams: Iterable[Datagram]) -> None:
        """Take datagrams that reached another worker, as if one of our sockets had received them."""
        self._pump.take(datagrams)
        self._read()

    def _opened_readable(self, local: int) -> None:
        resizer = self.node.context.resizers.get(local)
        if resizer is None:
            self._pump.ready(local)
        else:
            self._pump.take(resizer.resize(self._sockets.receive(local, _RESIZED_DATAGRAMS, _LARGEST_BYTES)))
        self._read()

    def stop(self) -> None:
        """Stop reading, and stop all timers."""
        for descriptor in self._sockets.filenos():
            if descriptor >= 0:
                self._loop.remove_reader(descriptor)
        self._look.close()
        self._is_started = False
        for handle in (self._timer, self._again, self._attending):
            if handle is not None:
                handle.cancel()
        self._timer = self._again = self._attending = self._timer_at = None

    def _add_readers(self) -> None:
        for local in range(len(self._sockets.addresses)):
            self._loop.add_reader(self._sockets.filenos()[local], self._readable)

    def _readable(self) -> None:
        """Read a readable socket; if the last time was recent, switch to polling."""
        before = self._read_at
        self._read()
        gap = self._gap()
        if not self._is_looking and self._read_at - before < gap:
            for local in range(len(self._sockets.addresses)):
                self._loop.remove_reader(self._sockets.filenos()[local])
            self._look_after(gap)

    def _look_after(self, gap: int) -> None:
        self._is_looking = True
        if self._pump.attends and (gap < _HANDSHAKE_GAP_NS or (gap == _CALM_NS and self._waker >= 0)):
            self._left_at = time.monotonic_ns()
            self._attending = self._loop.call_soon(self._attend)
            return
        if gap == _CALM_NS:
            gap -= time.monotonic_ns() % gap
        self._look.set(gap)

    def _look_again(self) -> None:
        before = self._pump.datagrams_read
        try:
            self._read()
        finally:
            self._go_on(found=self._pump.datagrams_read != before)

    def _go_on(self, *, found: bool) -> None:
        """Poll again, or wait for the next datagram."""
        if found:
            self._look_after(self._gap())
        else:
            self._is_looking = False
            self._set_timer()
            self._add_readers()

    def _attend(self) -> None:
        """Let the engine poll for a while if nothing else needs the loop; else poll once, after a pause."""
        self._attending = None
        now = self.now()
        if self._again is not None or now - self._left_at > _ALONE_NS:
            self._look.set(self._pause.pause)
            self._set_timer()
            return
        at, before = self._timers_at(), self._pump.datagrams_read
        until = now + (_ATTENDING_NS if self._waker >= 0 else _BLINDLY_ATTENDING_NS)
        until = until if at is None else min(until, at)
        try:
            with self._step(now):
                self._take(self._pump.attend(now, until, self._gap(), _FEEDBACK_TOGETHER_NS, self._waker))
                if at is not None and at <= self._read_at:
                    self._do_due(self._read_at)
                else:
                    self._work(self._read_at)
        finally:
            self._go_on(found=self._pump.datagrams_read != before)

    def _gap(self) -> int:
        if self._read_at - self._media_at < _LASTS_NS:
            return self._pause.pause
        return _HANDSHAKE_GAP_NS if self._read_at - self._handshake_at < _LASTS_NS else _CALM_NS

    def _read(self) -> None:
        """Read and forward, then do policy work; work that takes too long continues in the next step."""
        begun = time.monotonic_ns()
        with self._step(begun):
            self._forward()
            self._work(begun)

    @contextmanager
    def _step(self, begun: int) -> Iterator[None]:
        """Run a step; a fault costs only that step, not other output or the timer."""
        rested = self._pump.rested
        try:
            yield
        except Exception:
            self.node.fault(begun)
            raise
        finally:
            self.flush()
            ended = time.monotonic_ns()
            self._pause.spent(begun + self._pump.rested - rested, ended)
            self.overload.passed(ended)

    def _forward(self) -> None:
        self._take(self._pump.receive_and_forward(self.now()))

    def _take(self, result: Result) -> None:
        """Pass on datagrams that were read."""
        now = self._read_at = self.now()
        if self._pump.packets_in != self._packets_in:
            self._packets_in = self._pump.packets_in
            self._media_at = now
        self.overload.looked()
        if result.leftovers and any(leftover.kind == LeftoverKind.DTLS for leftover in result.leftovers):
            self._handshake_at = now
        self.node.put(result, now)

    def _work(self, now: int) -> None:
        """Give policy its share of a step."""
        if not self.node.has_work:
            return
        until = time.monotonic_ns() + _POLICY_NS
        while self.node.work(now) and now < until:
            now = time.monotonic_ns()

    def _continue(self) -> None:
        self._again = None
        self._read()

    def flush(self) -> None:
        """Send the node's outbox, and set the timer; let media through if it has waited."""
        self._empty_outbox()
        now = time.monotonic_ns()
        if self._is_started and now - self._read_at > _AWAY_NS and now - self._media_at < _LASTS_NS:
            self._forward()
        if self._again is None and (self._pump.backlog or self.node.has_work):
            self._again = self._loop.call_soon(self._continue)
        self._set_timer()

    def _empty_outbox(self) -> None:
        outbox = self.node.context.outbox
        if outbox.datagrams:
            datagrams, outbox.datagrams = outbox.datagrams, []
            self._pump.send(datagrams)
        if outbox.to_links or outbox.links_to_close:
            to_links, outbox.to_links = outbox.to_links, []
            closed, outbox.links_to_close = outbox.links_to_close, []
            self.to_links(to_links, closed)
        if outbox.sockets_to_shut:
            sockets, outbox.sockets_to_shut = outbox.sockets_to_shut, []
            for local in sockets:
                self.shut_socket(local)
        if outbox.to_sessions:
            to_sessions, outbox.to_sessions = outbox.to_sessions, []
            self.node.told(to_sessions, time.monotonic_ns())
            self.to_sessions(to_sessions)
        if outbox.facts:
            facts, outbox.facts = outbox.facts, []
            self.to_facts(facts)
        if outbox.rooms_opened:
            opened, outbox.rooms_opened = outbox.rooms_opened, []
            for tell in self.to_opened:
                tell(opened)
        if outbox.failures:
            failures, outbox.failures = outbox.failures, []
            self.to_flights(failures)
        if outbox.warnings:
            warnings, outbox.warnings = outbox.warnings, []
            for warning in warnings:
                _log.warning("%s", warning)
        self.to_workers()
        self.to_sinks()
        self.to_transcoder()

    def _set_timer(self) -> None:
        if self._attending is not None:
            return  # which handles what is due
        at = self._due_at()
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None
        if at is not None:
            delay = max(0, at - time.monotonic_ns()) / 1e9
            self._timer = self._loop.call_later(delay, self._wake)

    def _due_at(self) -> int | None:
        """Return when timers, feedback or the pacer next have something due."""
        at, feedback, release = self._timers_at(), self._pump.next_feedback(), self._pump.next_release()
        if feedback is not None:
            feedback = self._on_grid(feedback)
            at = feedback if at is None else min(at, feedback)
        return release if release is not None and (at is None or release < at) else at

    def _timers_at(self) -> int | None:
        """Return when the node's timers next have something due."""
        at = self.node.timer()
        return self._on_grid(at) if at is not None else None

    def _on_grid(self, at: int) -> int:
        return at + -at % (_CALM_GRID_NS if self._gap() == _CALM_NS else _GRID_NS)

    def _wake(self) -> None:
        self._timer = self._timer_at = None
        now = self.now()
        with self._step(now):
            self._do_due(now)

    def _do_due(self, now: int) -> None:
        self._pump.release(now)
        feedback = self._pump.next_feedback()
        if feedback is not None and feedback <= now:
            self._pump.acknowledge(now + _FEEDBACK_TOGETHER_NS)
        self.node.wake(now)
        self._work(now)


def _descriptor_of(loop: asyncio.AbstractEventLoop) -> int:
    """Return the descriptor that is readable if the loop has something to do, -1 if it is not known.

    Neither uvloop nor asyncio documents it, so nothing depends on it but the cost of polling.
    """
    backend = getattr(loop, "_get_backend_id", None)
    selector = getattr(loop, "_selector", None)
    try:
        descriptor = backend() if backend is not None else selector.fileno() if selector is not None else -1
    except (AttributeError, ValueError):
        return -1
    return descriptor if isinstance(descriptor, int) else -1


def _nowhere(_: Iterable[object]) -> None:
    """Drop the datagram."""
