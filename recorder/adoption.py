"""Renews this recorder's leases, and takes over unfinished recordings of recorders that have disappeared."""

import asyncio
import functools
import time

from foundation.background import keep_running
from objects.threads import Objects
from recorder import layout, store_outage, stored
from recorder.config import RecorderConfig
from recorder.finisher import Finisher
from recorder.leases import RENEW_SECONDS
from recorder.recordings import SEALING, Recordings

_ADOPT_EVERY = 5
"""The number of renewals between two searches for abandoned recordings."""


class Adoption:
    """`objects` is the store of recordings, None if there is only the directory."""

    def __init__(
        self, config: RecorderConfig, objects: Objects | None, recordings: Recordings, finisher: Finisher
    ) -> None:
        self._config = config
        self._objects = objects
        self._recordings = recordings
        self._finisher = finisher

    async def look(self) -> list[str]:
        """Take over abandoned recordings in the directory and in the store; return them."""
        now = time.time()
        taken = await asyncio.to_thread(self._recordings.take_over, now)
        if self._objects is None:
            return taken
        try:
            root, instance = self._config.recordings_dir, self._config.instance
            return taken + await self._objects.call(stored.restore, self._objects.store, root, instance, now)
        except OSError as error:
            store_outage.note(error)
            return taken

    async def run(self) -> None:
        """Renew and adopt until cancelled."""
        async with asyncio.TaskGroup() as reports:
            while True:
                for _ in range(_ADOPT_EVERY):
                    for name in await asyncio.to_thread(self._recordings.renew, time.time()):
                        self._recordings.lose(name)
                    await asyncio.sleep(RENEW_SECONDS)
                for name in await self.look():
                    manifest = self._recordings.adopt(layout.recording_dir(self._config.recordings_dir, name))
                    recording = self._recordings.known(name)
                    if manifest is not None:
                        report = functools.partial(self._finisher.report, manifest)
                        reports.create_task(keep_running("report", report))
                    elif recording is not None and recording.state == SEALING:
                        self._finisher.add(recording)
