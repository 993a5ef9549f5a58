"""Keeps the newest few dumps of flight recorders in a directory; they are written off the loop."""

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path

from foundation.failures import describe
from sfu.peers.outbox import Failure

MAX_FILES = 20
MAX_QUEUED = 16
BETWEEN_SECONDS = 60.0  # dumps kept per room

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_log = logging.getLogger(__name__)


class FlightFiles:
    """Writes dumps as `{room}-{unix ms}.flight` into `directory`, at most one a minute for each room."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._queue: asyncio.Queue[Failure] = asyncio.Queue(MAX_QUEUED)
        self._last: dict[str, float] = {}

    def put(self, failures: Iterable[Failure]) -> None:
        """Queue dumps; those beyond the queue's bound, or too soon after the room's last one, are dropped."""
        now = time.monotonic()
        self._last = {room: at for room, at in self._last.items() if now - at < BETWEEN_SECONDS}
        for failure in failures:
            if failure.room not in self._last and not self._queue.full():
                self._last[failure.room] = now
                self._queue.put_nowait(failure)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            failure = await self._queue.get()
            try:
                path = await asyncio.to_thread(self._write, failure)
            except OSError as error:
                _log.error("cannot write a flight recorder's dump: %s", describe(error))
            else:
                level = logging.WARNING if failure.is_fault else logging.INFO
                _log.log(level, "%s; the room's last minute was written to %s", failure.what, path)

    def _write(self, failure: Failure) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{_UNSAFE.sub('_', failure.room)[:80]}-{time.time_ns() // 1_000_000}.flight"
        path.write_bytes(failure.dump)
        path.chmod(0o600)
        files = sorted(self._directory.glob("*.flight"), key=lambda file: file.stat().st_mtime)
        for old in files[:-MAX_FILES]:
            old.unlink(missing_ok=True)
        return path
