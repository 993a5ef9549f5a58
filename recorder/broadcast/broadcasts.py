"""The broadcasts of this recorder, started and ended on the sfu's request. Their failures do not affect recordings."""

import asyncio
import logging
import os
from pathlib import Path

import aiohttp

from foundation.background import cancel_all, keep_running
from foundation.broadcasts import LIVE_PREFIX
from foundation.failures import describe
from foundation.part_tls import part_session
from objects.threads import Objects
from recorder import leases
from recorder.broadcast.program import Program
from recorder.config import RecorderConfig
from sfu.api.sink_records import BroadcastEnded, BroadcastStarted

_log = logging.getLogger(__name__)
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Broadcasts:
    """The running broadcasts. `objects` is the store of recordings, which also stores HLS."""

    def __init__(self, config: RecorderConfig, objects: Objects) -> None:
        self._config = config
        self._objects = objects
        self._programs: dict[str, tuple[Program, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(max(1, len(os.sched_getaffinity(0))))
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Run broadcasts until cancelled."""
        if not self._config.control_url:
            return
        await self._remove_leftovers()
        async with part_session(self._config.node_secret, self._config.tls, _TIMEOUT) as session:
            self._session = session
            try:
                await asyncio.Event().wait()
            finally:
                self._session = None
                await cancel_all([*(task for _, task in self._programs.values()), *self._ending])

    def take(self, record: BroadcastStarted | BroadcastEnded, sink_socket: Path) -> None:
        """Handle a message of the sfu at `sink_socket`."""
        if isinstance(record, BroadcastStarted):
            self._begin(record, sink_socket)
        else:
            self._end(record, sink_socket)

    def _begin(self, begun: BroadcastStarted, sink_socket: Path) -> None:
        """Start a broadcast, or follow its room to another node."""
        if self._session is None:
            return
        program, task = self._programs.get(begun.broadcast, (None, None))
        if program is not None and task is not None and not task.done():
            if begun.placement >= program.begun.placement:
                program.begun, program.sink_socket = begun, sink_socket
            return
        program = Program(
            self._config, begun, sink_socket, objects=self._objects, session=self._session, places=self._places
        )
        _log.info("broadcast %s of %s began", begun.broadcast, begun.room)
        self._programs[begun.broadcast] = program, asyncio.create_task(self._run(program))

    def _end(self, ended: BroadcastEnded, sink_socket: Path) -> None:
        """End a broadcast, unless its room has moved to another node of this machine."""
        program, task = self._programs.get(ended.broadcast, (None, None))
        if program is None or task is None or program.sink_socket != sink_socket:
            return
        del self._programs[ended.broadcast]
        task.cancel()

    async def _run(self, program: Program) -> None:
        try:
            await keep_running("broadcast", program.run)
        finally:
            ending = asyncio.create_task(program.forget())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _remove_leftovers(self) -> None:
        """Delete the HLS segments that an earlier process left."""
        try:
            await self._objects.remove_all(f"{LIVE_PREFIX}{leases.file_name(self._config.instance)}/")
        except OSError as error:
            _log.warning("could not delete segments of earlier broadcasts: %s", describe(error))
