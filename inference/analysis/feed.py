"""The connection to the analysis worker: records of cameras and speech of microphones in, its observations out.

A worker runs only while a model wants something. Its task is set at its start, so a change starts another worker.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from foundation.background import cancel_all
from foundation.backoff import Backoff
from inference import messages
from inference.metrics import DROPS, FACES_SEEN, PICTURES, VIDEO_TRACKS
from inference.workers.process import WorkerProcess, confinement
from inference.workers.supervisor import supervise
from sfu.api import sink_records
from sfu.api.sink_records import AnyRecord, KeyframeWanted, TrackClosed, TrackOpened

_log = logging.getLogger(__name__)

MAX_TRACKS = 500
Seen = messages.PictureSeen | messages.VoiceHeard


class AnalysisFeed:
    """Feed of an analysis worker. `ask` gets requests for keyframes."""

    def __init__(self, nice: int, *, seen: Callable[[Seen], None], ask: Callable[[AnyRecord], None]) -> None:
        self._nice = nice
        self._seen = seen
        self._ask = ask
        self._tracks: dict[int, TrackOpened] = {}
        self._worker: WorkerProcess | None = None
        self._ready = False
        self._wanted = ""
        self._faces = Path()
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """True while a worker accepts records."""
        return self._ready

    def want(self, wanted: str) -> None:
        """Set the worker's task, in the form of WANTED in inference.analysis_worker; "" for none."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def tracks(self) -> list[TrackOpened]:
        """Return the open cameras."""
        return list(self._tracks.values())

    def has(self, handle: int) -> bool:
        """Return whether `handle` is an open camera."""
        return handle in self._tracks

    def opened(self, track: TrackOpened) -> None:
        """Open a camera whose participant consents to analysis."""
        if len(self._tracks) >= MAX_TRACKS:
            DROPS.labels("analysis", "too_many_tracks").inc()
            return
        self._tracks[track.handle] = track
        VIDEO_TRACKS.set(len(self._tracks))
        self._forward(messages.frame(sink_records.encode(track)))

    def closed(self, record: TrackClosed) -> None:
        """Close a camera or microphone."""
        self._tracks.pop(record.handle, None)
        VIDEO_TRACKS.set(len(self._tracks))
        self._forward(messages.frame(sink_records.encode(record)))

    def record(self, data: bytes) -> None:
        """Pass a packet's record to the worker."""
        if not self._ready:
            DROPS.labels("analysis", "no_worker").inc()
        elif not self._forward(messages.frame(data)):
            DROPS.labels("analysis", "worker_full").inc()

    def spoken(self, speech: messages.Speech) -> None:
        """Pass an utterance to the worker."""
        if not self._forward(messages.encode(speech)):
            DROPS.labels("analysis", "speech").inc()

    def _forward(self, frame: bytes) -> bool:
        return self._ready and self._worker is not None and self._worker.send(frame)

    async def run(self, faces: Path) -> None:
        """Keep a worker with the nets in `faces` running while something is wanted, until cancelled."""
        self._faces = faces
        await supervise("analysis", "analysis worker", self)

    async def wanted(self) -> tuple[str, ...]:
        """Wait until there is something to analyse."""
        while not self._wanted:
            await self._changed.wait()
            self._changed.clear()
        self._changed.clear()
        return "inference.analysis_worker", str(self._faces), str(self._nice), self._wanted

    async def serve(self, worker: WorkerProcess, backoff: Backoff) -> bool:
        """Serve a worker; return False when it ends, True when its task has changed."""
        self._worker = worker
        listening = asyncio.ensure_future(self._listen(worker, backoff))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((listening, changed), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
                return False
            return True
        finally:
            await cancel_all((listening, changed))

    def ended(self) -> None:
        """Handle the end of the worker."""
        self._worker, self._ready = None, False

    async def _listen(self, worker: WorkerProcess, backoff: Backoff) -> None:
        while (message := await worker.receive()) is not None:
            match message:
                case messages.Ready():
                    level, held = confinement(message)
                    _log.log(level, "analysis worker ready, %s", held)
                    for track in self._tracks.values():
                        worker.send(messages.frame(sink_records.encode(track)))
                    self._ready = True
                case messages.PictureSeen() | messages.VoiceHeard():
                    self._seen(message)
                case messages.AskKeyframe(handle=handle) if handle in self._tracks:
                    self._ask(KeyframeWanted(handle=handle))
                case messages.AnalysisCounts():
                    backoff.reset()
                    PICTURES.inc(message.pictures)
                    FACES_SEEN.inc(message.faces)
                    for reason, number in message.drops.items():
                        DROPS.labels("analysis", reason).inc(number)
                case _:
                    DROPS.labels("analysis", "track_gone").inc()
