"""Begins the film of a recording while it is running, where cores are free: runs a process for each such recording.

Parts are kept where the job of the finished recording looks for them, so that only the last ones are missing then. The
process has the lowest priority. It is stopped if the machine has other work, and ends after its recording.
"""

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import NamedTuple

from objects.sealed_file import files_of
from recorder import layout, media_process, metrics
from recorder.compose.contract import COMPOSE, early_directory, given_keys
from recorder.config import RecorderConfig
from recorder.cores import FreeCores
from recorder.recordings import CAPTURING, Recording, Recordings

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_YOUNG_MS = 30_000
"""The age below which a recording is not followed: a short one is made quickly after its end."""
_NEEDED = 1.0
_LITTLE = 0.25
"""The free cores with which a process begins, and below which it ends."""
_BUSY_LOOKS = 3
_SETTLE_SECONDS = 300.0
"""The time after which the film of a finished recording no longer waits for what was made early."""
_AGAIN_SECONDS = 30.0


class _Running(NamedTuple):
    process: asyncio.subprocess.Process
    reading: asyncio.Task[None]


class Following:
    """The processes that make films of running recordings; at most `films_at_once`."""

    def __init__(self, config: RecorderConfig, recordings: Recordings, work: Path) -> None:
        self._config = config
        self._recordings = recordings
        self._work = work
        self._running: dict[str, _Running] = {}
        self._made_ms: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._cores = FreeCores()
        self._busy = 0

    async def run(self) -> None:
        """Work until cancelled."""
        if not (self._config.films_while_recording and self._config.control_url) or self._config.films_at_once < 0:
            return
        try:
            while True:
                await self._look()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for name in list(self._running):
                await self._stop(name)

    async def settled(self, name: str) -> None:
        """Wait until the process of a finished recording has completed what belongs to it, if there is one."""
        if (found := self._running.get(name)) is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(found.process.wait(), _SETTLE_SECONDS)
            await self._stop(name)

    async def _stop(self, name: str) -> None:
        """End a process, if there is one; what it has made is kept."""
        found = self._running.pop(name, None)
        if found is None:
            return
        with contextlib.suppress(ProcessLookupError):
            found.process.kill()
        await found.process.wait()
        await asyncio.gather(found.reading, return_exceptions=True)
        _log.info("the film of %s is made until %d s", name, self._made_ms.pop(name, 0) // 1000)

    async def _look(self) -> None:
        live = {recording.info.recording: recording for recording in self._recordings.unfinished()}
        live = {name: recording for name, recording in live.items() if recording.state == CAPTURING}
        for name, found in list(self._running.items()):
            if found.process.returncode is not None:
                if found.process.returncode:
                    self._not_before[name] = time.monotonic() + _AGAIN_SECONDS
                await self._stop(name)
        self._not_before = {name: when for name, when in self._not_before.items() if name in live}
        free = self._cores.look()
        self._busy = self._busy + 1 if free < _LITTLE else 0
        following = [name for name in self._running if name in live]
        if self._busy >= _BUSY_LOOKS and following:
            _log.info("films of running recordings wait for free cores")
            for name in following:
                await self._stop(name)
        if free >= _NEEDED and len(self._running) < self._config.most_films:
            waiting = [recording for name, recording in live.items() if name not in self._running]
            begun = next((recording for recording in waiting if self._is_due(recording)), None)
            if begun is not None:
                await self._begin(begun)
        metrics.FOLLOWED.set(len(self._running))

    def _is_due(self, recording: Recording) -> bool:
        info = recording.info
        old_enough = time.time_ns() // 1_000_000 - info.started_unix_ms >= _YOUNG_MS
        return old_enough and not recording.shared and time.monotonic() >= self._not_before.get(info.recording, 0.0)

    async def _begin(self, recording: Recording) -> None:
        name = recording.info.recording
        root = self._config.recordings_dir
        directory = early_directory(self._work / layout.identifier(name) / COMPOSE)
        files = await asyncio.to_thread(files_of, recording.directory, self._config.operator_keys)
        process = await media_process.start("recorder.compose.follow", str(root), name, str(directory))
        assert process.stdin is not None
        process.stdin.write(given_keys(files))
        process.stdin.close()
        self._running[name] = _Running(process, asyncio.create_task(self._read(name, process)))
        _log.info("the film of %s begins while it is recorded", name)

    async def _read(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None and process.stderr is not None
        complaints = asyncio.create_task(process.stderr.read(1 << 16))
        async for line in process.stdout:
            with contextlib.suppress(ValueError):
                self._made_ms[name] = int(line)
        if await process.wait() > 0:
            last = media_process.last_line(await complaints)
            _log.warning("cannot make the film of %s while it is recorded: %s", name, last)
        await asyncio.gather(complaints, return_exceptions=True)
