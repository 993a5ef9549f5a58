"""The connection to the decode worker: the sink's records in, speech out.

Without a recogniser, nothing is decoded, and records are dropped here. Open tracks are remembered, so that a restarted
worker gets them again.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from foundation import tracing
from foundation.backoff import Backoff
from inference import messages
from inference.metrics import DECODED, DROPS, TRACKS, VOICED
from inference.workers.process import WorkerProcess, confinement
from inference.workers.supervisor import supervise
from sfu.api import sink_records
from sfu.api.sink_records import RecordType, TrackClosed, TrackOpened

_log = logging.getLogger(__name__)

MAX_TRACKS = 10_000


class DecoderFeed:
    """Feed of a decode worker. `spoken` gets speech with its track; `gone` gets a closed handle."""

    def __init__(
        self,
        nice: int,
        *,
        spoken: Callable[[TrackOpened, messages.Speech], None],
        gone: Callable[[int, bool], None],
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when `ready` changes."""
        self._nice = nice
        self._spoken = spoken
        self._gone = gone
        self._changed = changed
        self._tracks: dict[int, TrackOpened] = {}
        self._ending: dict[int, TrackOpened] = {}
        self._worker: WorkerProcess | None = None
        self._ready = False
        self._arguments: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True while a worker accepts records."""
        return self._ready

    def tracks(self) -> list[TrackOpened]:
        """Return the open tracks."""
        return list(self._tracks.values())

    def record(self, data: bytes) -> sink_records.AnyRecord | None:
        """Process one record from the sfu; return it decoded unless it is a packet."""
        if data and data[0] == RecordType.CONTROL:
            return self._control(data)
        if not self._ready:
            DROPS.labels("decoder", "no_worker").inc()
        elif self._worker is not None and not self._worker.send(messages.frame(data)):
            DROPS.labels("decoder", "worker_full").inc()
        return None

    def detached(self) -> None:
        """Close all tracks after the sfu has disconnected."""
        for handle in list(self._tracks):
            self._closed(TrackClosed(handle=handle, reason="shutdown"))

    async def run(self, voice_model: Path) -> None:
        """Keep a decode worker with `voice_model` running until cancelled."""
        self._arguments = ("inference.decode_worker", str(voice_model), str(self._nice))
        await supervise("decoder", "audio decoder", self)

    async def wanted(self) -> tuple[str, ...]:
        """Return at once: the worker is always wanted."""
        return self._arguments

    async def serve(self, worker: WorkerProcess, backoff: Backoff) -> bool:
        """Process a worker's messages until it ends."""
        self._worker = worker
        while (message := await worker.receive()) is not None:
            match message:
                case messages.Ready():
                    level, held = confinement(message)
                    _log.log(level, "audio decoder ready, %s", held)
                    for track in self._tracks.values():
                        worker.send(messages.frame(sink_records.encode(track)))
                    self._ready = True
                    self._changed()
                case messages.Speech(handle=handle) if handle in self._tracks or handle in self._ending:
                    self._spoken(self._ending.get(handle) or self._tracks[handle], message)
                case messages.TrackEnded(handle=handle):
                    if self._ending.pop(handle, None) is not None:
                        self._gone(handle, True)
                case messages.DecodeCounts():
                    backoff.reset()
                    self._count(message)
                case _:
                    DROPS.labels("decoder", "track_gone").inc()
        return False

    def ended(self) -> None:
        """Handle the end of the worker, which loses the audio of open utterances."""
        self._worker, self._ready = None, False
        self._changed()
        for handle in (*self._tracks, *self._ending):
            self._gone(handle, True)
        self._ending.clear()

    def _count(self, counts: messages.DecodeCounts) -> None:
        DECODED.inc(counts.decoded_ms / 1000)
        VOICED.inc(counts.voiced_ms / 1000)
        for reason, number in counts.drops.items():
            DROPS.labels("decode", reason).inc(number)

    def _control(self, data: bytes) -> sink_records.AnyRecord | None:
        try:
            record = sink_records.decode(data)
        except ValueError:
            DROPS.labels("decoder", "bad_record").inc()
            return None
        if isinstance(record, TrackClosed):
            self._closed(record)
            return record
        if isinstance(record, TrackOpened) and not self._opened(record):
            return record
        if self._ready and self._worker is not None and not self._worker.send(messages.frame(data)):
            DROPS.labels("decoder", "worker_full").inc()
        return record

    def _opened(self, record: TrackOpened) -> bool:
        """Add a microphone's track; return False for a track that is not decoded here."""
        if record.media != "audio":
            return False
        if len(self._tracks) >= MAX_TRACKS:
            DROPS.labels("decoder", "too_many_tracks").inc()
            return False
        self._tracks[record.handle] = record
        TRACKS.set(len(self._tracks))
        about = {"meeting": record.room, "participant": record.participant}
        tapped = tracing.start("inference.tapped", tracing.read(record.traceparent), about)
        tapped.end("" if self._ready else "no worker")
        return True

    def _closed(self, record: TrackClosed) -> None:
        """Close a track. Its last words are awaited, unless consent was withdrawn."""
        track = self._tracks.pop(record.handle, None)
        if track is None:
            return
        TRACKS.set(len(self._tracks))
        told = (
            self._ready and self._worker is not None and self._worker.send(messages.frame(sink_records.encode(record)))
        )
        if told and record.reason != "consent":
            self._ending[record.handle] = track
        else:
            self._gone(record.handle, record.reason != "consent")
