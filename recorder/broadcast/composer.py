"""The process that composes the views of a broadcast: it is started again whenever it ends, and told what to make."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from foundation import media_units
from foundation.backoff import Backoff
from foundation.failures import describe
from foundation.media_units import Unit, UnitKind
from recorder import media_process
from recorder.broadcast.contract import Start, State, Views
from sfu.api.sink_client import connected
from sfu.api.sink_records import VERSION, BroadcastStarted, SinkHello, encode

_log = logging.getLogger(__name__)
_STEADY_SECONDS = 60.0
_STREAM_LIMIT = 1 << 20


class Composer:
    """Runs the process, and passes on its units with the identifier of their outputs.

    `zero` is the broadcast's zero (ns), `places` limits the number of processes. `problem` says why nothing is
    composed.
    """

    def __init__(self, instance: str, zero: int, places: asyncio.Semaphore, take: Callable[[str, Unit], None]) -> None:
        self.problem = ""
        self._instance = instance
        self._start = Start(zero=zero)
        self._places = places
        self._give = take
        self._views = Views()
        self._process: asyncio.subprocess.Process | None = None
        self._outputs = ""
        self._state = State()
        self._before = State()

    @property
    def people(self) -> int:
        return self._state.people

    @property
    def pictures(self) -> int:
        return self._before.pictures + self._state.pictures

    @property
    def left_out(self) -> int:
        return self._before.left_out + self._state.left_out

    def make(self, views: Views) -> None:
        """Make these views from now on."""
        if views != self._views:
            self._views = views
            self._order()

    async def run(self, begun: BroadcastStarted, sink_socket: Path) -> None:
        """Compose a room of the sfu at `sink_socket` until cancelled."""
        backoff = Backoff(2.0, 0.2)
        self.problem = "This server cannot compose more broadcasts at the same time."
        async with self._places:
            while True:
                since = time.monotonic()
                self.problem = ""
                try:
                    await self._compose(begun, sink_socket)
                except OSError as error:
                    self.problem = "The server of the meeting does not respond."
                    _log.info("broadcast %s waits for the sfu: %s", begun.broadcast, describe(error))
                if time.monotonic() - since > _STEADY_SECONDS:
                    backoff.reset()
                await backoff.wait()

    async def _compose(self, begun: BroadcastStarted, sink_socket: Path) -> None:
        """Run one process; raises OSError if the sfu cannot be reached."""
        sink = connected(sink_socket)
        try:
            hello = SinkHello(sink="broadcast", instance=self._instance, room=begun.room, v=VERSION)
            sink.send(encode(hello))
            process = await self._run_process(sink)
        finally:
            sink.close()
        assert process.stdout is not None and process.stderr is not None
        words = asyncio.create_task(process.stderr.read(1 << 16))
        self._process = process
        self._order()
        try:
            while (unit := await media_units.read(process.stdout)) is not None:
                self._take(unit)
        finally:
            self._process = None
            if process.returncode is None:
                process.kill()
            code = await process.wait()
            last = media_process.last_line(await words)
            self._before, self._state = State(pictures=self.pictures, left_out=self.left_out), State()
            if code and last:
                _log.warning("composing broadcast %s ended with exit code %d: %s", begun.broadcast, code, last)

    async def _run_process(self, sink: socket.socket) -> asyncio.subprocess.Process:
        start = msgspec.json.encode(self._start).decode()
        return await media_process.start(
            "recorder.broadcast", str(sink.fileno()), start, pass_fds=(sink.fileno(),), limit=_STREAM_LIMIT
        )

    def _order(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(self._views) + b"\n")

    def _take(self, unit: Unit) -> None:
        if unit.kind is UnitKind.STATE:
            with contextlib.suppress(msgspec.DecodeError):
                self._state = msgspec.json.decode(unit.data, type=State)
        elif unit.kind is UnitKind.OUTPUTS:
            self._outputs = unit.data.decode(errors="replace")
        else:
            self._give(self._outputs, unit)
