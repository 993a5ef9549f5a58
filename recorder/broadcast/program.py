"""One broadcast: a process composes it, outputs deliver it, and control sets the outputs and gets their status."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from pathlib import Path

import aiohttp
import msgspec

from foundation import media_units
from foundation.background import cancel_all, keep_running
from foundation.backoff import Backoff
from foundation.broadcasts import (
    LIVE_PREFIX,
    BroadcastOrders,
    BroadcastReport,
    OutputOrder,
)
from foundation.failures import describe
from foundation.media_units import Unit, UnitKind
from objects.threads import Objects
from recorder import layout, leases, metrics
from recorder.broadcast.contract import Order, State
from recorder.broadcast.hls_output import HlsOutput
from recorder.broadcast.output import Output
from recorder.broadcast.rtmp_output import RtmpOutput
from recorder.broadcast.srt_output import SrtOutput
from recorder.config import RecorderConfig
from sfu.api.sink_client import connected
from sfu.api.sink_records import VERSION, BroadcastStarted, SinkHello, encode

_log = logging.getLogger(__name__)
_REPORT_SECONDS = 1.0
_FORGET_SECONDS = 60.0
"""The time for which a broadcast continues without an sfu. Without control, it continues until the sfu ends it."""
_PACKAGES = Path(__file__).parent.parent.parent
_STREAM_LIMIT = 1 << 20


class Program:
    """Runs until it is cancelled or control ends it. `places` limits the number of broadcasts composed at once."""

    def __init__(
        self,
        config: RecorderConfig,
        begun: BroadcastStarted,
        sink_socket: Path,
        *,
        objects: Objects,
        session: aiohttp.ClientSession,
        places: asyncio.Semaphore,
    ) -> None:
        self.begun = begun
        self.sink_socket = sink_socket
        self._config = config
        self._objects = objects
        self._session = session
        self._places = places
        self._zero = time.monotonic_ns()
        self._orders = BroadcastOrders(held=True)
        self._outputs: dict[str, tuple[Output, asyncio.Task[None]]] = {}
        self._setup: dict[UnitKind, Unit] = {}
        self._state = State()
        self._pictures_before = 0
        self._left_out_before = 0
        self._problem = ""
        self._ended: list[Output] = []
        self._forgetting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run the broadcast; return when it is over."""
        metrics.BROADCASTS.inc()
        composing: asyncio.Task[None] | None = None
        try:
            while await self._report():
                await self._follow_orders()
                if composing is None or self._is_stale(composing):
                    composing = await self._compose_anew(composing)
                await asyncio.sleep(_REPORT_SECONDS)
            _log.info("broadcast %s is over", self.begun.broadcast)
        finally:
            metrics.BROADCASTS.dec()
            tasks = [task for _, task in self._outputs.values()]
            await cancel_all([*tasks, *([composing] if composing is not None else [])])
            self._ended += [output for output, _ in self._outputs.values()]
            self._outputs.clear()
            metrics.note_outputs(self.begun.broadcast, [])

    async def forget(self) -> None:
        """Delete the outputs' stored objects after a while."""
        forgetting = (output.forget() for output in self._ended)
        await asyncio.gather(*forgetting, *self._forgetting, return_exceptions=True)

    def _is_stale(self, composing: asyncio.Task[None]) -> bool:
        return composing.done() or composing.get_name() != self._composed_as()

    def _composed_as(self) -> str:
        """Return the values whose change requires a new process: the room's node, the bit rate and the layout."""
        film = msgspec.json.encode(self._orders.film).decode()
        return f"{self.sink_socket} {self._orders.bits} {film}"

    async def _compose_anew(self, composing: asyncio.Task[None] | None) -> asyncio.Task[None]:
        if composing is not None:
            await cancel_all([composing])
        return asyncio.create_task(self._keep_composing(), name=self._composed_as())

    async def _report(self) -> bool:
        """Report to control and apply its orders; return False if the broadcast is over."""
        states = {name: output.state() for name, (output, _) in self._outputs.items()}
        pictures = self._pictures_before + self._state.pictures
        report = BroadcastReport(
            instance=leases.file_name(self._config.instance),
            placement=self.begun.placement,
            people=self._state.people,
            pictures=pictures,
            left_out=self._left_out_before + self._state.left_out,
            problem=self._problem,
            outputs=states,
        )
        metrics.note_outputs(self.begun.broadcast, [*states.values()])
        url = f"{self._config.control_url.rstrip('/')}/internal/v1/broadcasts/{self.begun.broadcast}/report"
        try:
            async with self._session.post(url, data=msgspec.json.encode(report)) as answer:
                answer.raise_for_status()
                self._orders = msgspec.json.decode(await answer.read(), type=BroadcastOrders)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            _log.debug("control did not answer the report on broadcast %s: %s", self.begun.broadcast, describe(error))
        return self._orders.held

    async def _follow_orders(self) -> None:
        """Start and stop outputs."""
        wanted = {order.id: order for order in self._orders.outputs}
        for name, (output, task) in list(self._outputs.items()):
            if wanted.get(name) != output.order:
                await cancel_all([task])
                del self._outputs[name]
                forgetting = asyncio.create_task(output.forget())
                self._forgetting.add(forgetting)
                forgetting.add_done_callback(self._forgetting.discard)
        for name, order in wanted.items():
            if name not in self._outputs:
                output = self._output(order)
                for setup in self._setup.values():
                    output.put(setup)
                self._outputs[name] = output, asyncio.create_task(keep_running("broadcast output", output.run))

    def _output(self, order: OutputOrder) -> Output:
        if order.kind == "rtmp":
            return RtmpOutput(order, self._zero)
        if order.kind == "srt":
            return SrtOutput(order, self._zero)
        prefix = f"{LIVE_PREFIX}{leases.file_name(self._config.instance)}/{layout.identifier(order.id)}/"
        return HlsOutput(order, self._zero, self._objects, prefix)

    async def _keep_composing(self) -> None:
        """Run a composing process, and restart it whenever it ends."""
        backoff = Backoff(2.0, 0.2)
        self._problem = "This server cannot compose more broadcasts at the same time."
        async with self._places:
            while True:
                begun = time.monotonic()
                self._problem = ""
                try:
                    await self._compose()
                except OSError as error:
                    self._problem = "The server of the meeting does not respond."
                    _log.info("broadcast %s waits for the sfu: %s", self.begun.broadcast, describe(error))
                if time.monotonic() - begun > _FORGET_SECONDS:
                    backoff.reset()
                await backoff.wait()

    async def _compose(self) -> None:
        """Run one process, and pass its media to the outputs; raises OSError if the sfu cannot be reached."""
        order = Order(film=self._orders.film, zero=self._zero, bits=self._orders.bits)
        sink = connected(self.sink_socket)
        try:
            sink.send(encode(self._hello()))
            process = await self._start(sink, order)
        finally:
            sink.close()
        assert process.stdout is not None and process.stderr is not None
        words = asyncio.create_task(process.stderr.read(1 << 16))
        try:
            while (unit := await media_units.read(process.stdout)) is not None:
                self._take(unit)
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
            last = (await words).decode(errors="replace").strip().rpartition("\n")[2]
            self._pictures_before += self._state.pictures
            self._left_out_before += self._state.left_out
            self._state = State()
            if code and last:
                _log.warning("composing broadcast %s ended with exit code %d: %s", self.begun.broadcast, code, last)

    def _hello(self) -> SinkHello:
        return SinkHello(sink="broadcast", instance=self._config.instance, room=self.begun.room, v=VERSION)

    async def _start(self, sink: socket.socket, order: Order) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "recorder.broadcast", str(sink.fileno()), msgspec.json.encode(order).decode()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(sink.fileno(),),
            limit=_STREAM_LIMIT,
            cwd=_PACKAGES,
            env={name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ},
        )

    def _take(self, unit: Unit) -> None:
        if unit.kind is UnitKind.STATE:
            with contextlib.suppress(msgspec.DecodeError):
                self._state = msgspec.json.decode(unit.data, type=State)
            return
        if unit.kind in {UnitKind.VIDEO_SETUP, UnitKind.AUDIO_SETUP}:
            self._setup[unit.kind] = unit
        for output, _ in self._outputs.values():
            output.put(unit)
