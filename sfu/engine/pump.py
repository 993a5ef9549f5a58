"""From the sockets through the engine and back, within a time budget: what the loop's reader calls.

What was read but not yet forwarded when the budget is spent waits in a bounded backlog; audio overtakes video there.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from sfu.engine.contract import Datagram, Drop, Engine, Outgoing, Result
from sfu.engine.sockets import Sockets

BUDGET = 2_000_000
BACKLOG_DATAGRAMS = 4096
_READ_DATAGRAMS = 256
_CHUNK_DATAGRAMS = 16


class Pump:
    """Composes an engine and sockets. Only the loop's thread may call it.

    After `receive_and_forward`, when `backlog` is true, the caller must call again without waiting for a reader
    (`loop.call_soon`), since the sockets may be empty already.
    """

    def __init__(
        self, engine: Engine, sockets: Sockets, *, budget: int = BUDGET, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._engine = engine
        self._sockets = sockets
        self._budget = budget
        self._clock = clock
        self._audio: deque[Datagram] = deque()
        self._other: deque[Datagram] = deque()

    @property
    def backlog(self) -> bool:
        """Whether datagrams wait that were read already."""
        return bool(self._audio or self._other)

    @property
    def drops(self) -> Mapping[Drop, int]:
        """Drops of the engine and of the sockets together."""
        drops = dict(self._engine.drops)
        for reason, packets in self._sockets.drops.items():
            drops[reason] = drops.get(reason, 0) + packets
        return drops

    @property
    def counters(self) -> Mapping[str, int]:
        """The engine's totals; datagrams_out and bytes_out are those that the kernel took."""
        return {
            **self._engine.counters,
            "datagrams_out": self._sockets.datagrams_out,
            "bytes_out": self._sockets.bytes_out,
        }

    def receive_and_forward(self, now: int) -> Result:
        """Read what waits, forward within the budget. `outgoing` of the result is empty: it has been sent."""
        self._read()
        total = Result()
        deadline = now + self._budget
        while self._audio or self._other:
            result = self._engine.process(self._next_chunk(), now)
            self._sockets.send(result.outgoing)
            total.sink_packets += result.sink_packets
            total.leftovers += result.leftovers
            total.arrivals += result.arrivals
            total.switches += result.switches
            if self._clock() >= deadline:
                break
        return total

    def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Send what the engine or a peer (STUN, DTLS, RTCP) produced."""
        self._sockets.send(outgoing)

    def release(self, now: int) -> None:
        """Send what pacing lets go by `now`; call it at `next_release`."""
        self._sockets.send(self._engine.release(now))

    def next_release(self) -> int | None:
        return self._engine.next_release()

    def _read(self) -> None:
        for local in range(len(self._sockets.addresses)):
            room = BACKLOG_DATAGRAMS - len(self._audio) - len(self._other)
            for datagram in self._sockets.receive(local, min(_READ_DATAGRAMS, room)):
                queue = self._audio if self._engine.is_audio(datagram) else self._other
                queue.append(datagram)

    def _next_chunk(self) -> list[Datagram]:
        if self._audio:
            chunk = list(self._audio)
            self._audio.clear()
            return chunk
        return [self._other.popleft() for _ in range(min(_CHUNK_DATAGRAMS, len(self._other)))]
