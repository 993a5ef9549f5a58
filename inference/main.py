"""The inference process: it gets audio from the sfu's sink socket, with consent, and returns captions.

    sfu ── sink socket ──▶ SinkSocket ─▶ DecoderFeed ═▶ decode worker ═▶ Captioner ═▶ recogniser (worker, Triton)
                               │  ◀── captions ──────────────────────────────┴──▶ FactReporter ── finals ──▶ control
                               └──▶ Analysis ═▶ analysis worker, detectors (worker, Triton)

Double arrows cross into worker processes. Without models, the process runs, reports to the sfu that there are no
captions, and starts captioning once `parley models fetch` has installed them.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from foundation.background import keep_running
from inference import messages, metrics
from inference.analysis.analysis import Analysis
from inference.analysis.detectors import run_detectors
from inference.api.http_api import InferenceApi
from inference.captions.captioner import Captioner
from inference.config import InferenceConfig
from inference.decoder_feed import DecoderFeed
from inference.models import catalogue, store
from inference.models.catalogue import SPEECH_MODEL, VOICE_MODEL
from inference.recognisers.fallback import FallbackRecogniser
from inference.recognisers.local import LocalRecogniser
from inference.recognisers.priority import LivePriority, LowPriority
from inference.recognisers.recogniser import Recogniser
from inference.setup_watch import Setup, watch
from sfu.api import sink_records
from sfu.api.fact_reporter import FactReporter
from sfu.api.sink_client import SinkSocket, stay_attached
from sfu.api.sink_records import (
    AnyRecord,
    CaptionRecord,
    CaptionsAvailable,
    RecordType,
    SinkHello,
    TrackClosed,
    TrackOpened,
)

_log = logging.getLogger(__name__)

MISSING = "captions unavailable: run `parley models fetch`"
STARTING = "captions are starting"
WITHOUT_TRITON = "captions may be late: the speech service does not answer, so a local recogniser is used instead"
CAPTIONS = "captions"
PATIENCE_SECONDS = 10.0
"""Seconds that Triton may take for a clip before the local recogniser takes it over."""
_POLL_SECONDS = 2.0


def stored_models(models_dir: Path) -> tuple[Path, Path] | None:
    """Return the directories of the voice activity and speech models, or None while one of them is missing."""
    table = catalogue.load()
    voice = store.find(models_dir, table.named(VOICE_MODEL))
    speech = store.find(models_dir, table.named(SPEECH_MODEL))
    return None if voice is None or speech is None else (voice, speech)


def _keep(tasks: asyncio.TaskGroup, name: str, work: Callable[[], Awaitable[None]]) -> None:
    tasks.create_task(keep_running(name, work), name=name)


class Inference:
    """The parts of the process and their connections."""

    def __init__(self, config: InferenceConfig) -> None:
        self._config = config
        self.api: InferenceApi | None = None
        self._voice_model: Path | None = None
        self._local = LocalRecogniser(threads=config.threads, nice=config.nice, changed=self._changed)
        self._live = LivePriority(self._local)
        self._remote: Recogniser | None = None
        self._facts = FactReporter(
            config.control_url, config.node_secret, config.instance, count=metrics.count_facts, tls=config.tls
        )
        metrics.FACTS_WAITING.set_function(lambda: self._facts.waiting)
        self._sink: SinkSocket | None = None
        self._captioner = Captioner(config.languages, show=self._send, store=self._facts.report)
        self._decoder_feed = DecoderFeed(
            config.nice, spoken=self._spoken, gone=self._captioner.gone, changed=self._changed
        )
        self.analysis = Analysis(config.models_dir, config.nice, send=self._send, changed=self._announce)

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser for speech in files, which yields to live speech."""
        return LowPriority(self._live)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            attached = functools.partial(stay_attached, self._config.sink_socket, self._attached, metrics.drop_unsent)
            _keep(tasks, "sink", attached)
            _keep(tasks, "facts", self._facts.run)
            if self._config.api_port is not None:
                self.api = InferenceApi(
                    self, self._config.node_secret, self._config.nice, self._config.runtime_dir, self._config.tls
                )
                tasks.create_task(self.api.serve(self._config.api_host, self._config.api_port), name="api")
            _keep(tasks, "detectors", functools.partial(run_detectors, self._config, self.analysis))
            _keep(tasks, "analysis", self.analysis.run)
            told = functools.partial(
                watch, self._config.control_url, self._config.node_secret, self._config.tls, self._set_up
            )
            _keep(tasks, "setup", told)
            ready()
            _keep(tasks, "captions", functools.partial(self._begin_captions, tasks))

    async def _begin_captions(self, tasks: asyncio.TaskGroup) -> None:
        """Wait for the models, then start captions."""
        voice, speech = await self._models()
        identity = store.identity(speech)
        self._voice_model = voice / "silero_vad.onnx"
        self._announce()
        _keep(tasks, "decoder", functools.partial(self._decoder_feed.run, self._voice_model))
        _keep(tasks, "recogniser", functools.partial(self._local.run, speech))
        if self._config.triton_urls:
            self._prefer_triton(tasks, identity)
        _keep(tasks, "captioner", functools.partial(self._captioner.run, self._live))

    def _set_up(self, setup: Setup) -> None:
        self.analysis.switch(setup.emotion)

    def _prefer_triton(self, tasks: asyncio.TaskGroup, identity: str) -> None:
        """Use Triton in preference to the local recogniser."""
        from inference.recognisers.triton import TritonRecogniser  # noqa: PLC0415  needs the extra `triton`

        remote = TritonRecogniser(self._config.triton_urls, identity, changed=self._changed, timeout=PATIENCE_SECONDS)
        self._remote = remote
        self._live = LivePriority(FallbackRecogniser((remote, self._local)))
        _keep(tasks, "triton", remote.run)

    @property
    def voice_model(self) -> Path | None:
        """The voice activity model, once there."""
        return self._voice_model

    @property
    def state(self) -> tuple[bool, str | None]:
        """True if captions can be made, else False and the reason."""
        availability = self._availability()
        return availability.available, availability.reason

    def streams(self) -> list[TrackOpened]:
        """The tracks tapped now."""
        return [*self._decoder_feed.tracks(), *self.analysis.feed.tracks()]

    def models(self) -> list[dict[str, Any]]:
        """Return the models that this version uses, each with `present`."""
        return [
            {
                "name": model.name,
                "version": model.version,
                "task": model.task,
                "licence": model.licence,
                "origin": model.origin,
                "present": store.find(self._config.models_dir, model) is not None,
            }
            for model in catalogue.load().model
            if not model.extra or store.find(self._config.models_dir, model) is not None
        ]

    async def _models(self) -> tuple[Path, Path]:
        """Wait until the models are there."""
        said = False
        while (found := stored_models(self._config.models_dir)) is None:
            if not said:
                _log.warning("%s (looked in %s)", MISSING, self._config.models_dir)
                said = True
            await asyncio.sleep(_POLL_SECONDS)
        return found

    def _availability(self) -> CaptionsAvailable:
        if self._voice_model is None:
            return CaptionsAvailable(available=False, reason=MISSING, code="no_models")
        if self.recogniser.model is None or not self._decoder_feed.ready:
            return CaptionsAvailable(available=False, reason=STARTING, code="starting")
        degraded = self._remote is not None and self._remote.model is None
        if degraded:
            return CaptionsAvailable(available=True, reason=WITHOUT_TRITON, code="late")
        return CaptionsAvailable(available=True)

    def _announce(self) -> None:
        """Report to the sfu, if attached, whether captions are available and which media analysis wants."""
        state = self._availability()
        metrics.AVAILABLE.set(state.available)
        if self._sink is not None:
            self._send(state)
            self._send(self.analysis.wanted)

    def _changed(self) -> None:
        self._captioner.recogniser_changed()
        self._announce()

    def _received(self, data: bytes) -> None:
        """Pass on a record: packets of cameras to analysis, other packets to the decoder, everything else to both."""
        if data and data[0] != RecordType.CONTROL and self.analysis.feed.has(sink_records.handle_of(data)):
            self.analysis.feed.record(data)
            return
        if (record := self._decoder_feed.record(data)) is not None:
            self._concerns_analysis(record)

    def _concerns_analysis(self, record: AnyRecord) -> None:
        if isinstance(record, TrackOpened):
            self.analysis.opened(record)
        elif isinstance(record, TrackClosed):
            self.analysis.closed(record)

    def _spoken(self, track: TrackOpened, speech: messages.Speech) -> None:
        if CAPTIONS in track.uses:
            self._captioner.spoken(track, speech)
        self.analysis.spoken(speech)

    async def _attached(self, sink: SinkSocket) -> None:
        """Process the sfu's records until it closes the socket."""
        self._sink = sink
        try:
            self._send(SinkHello(sink="inference", instance=self._config.instance))
            self._announce()
            while batch := await sink.receive():
                for data in batch:
                    self._received(data)
        finally:
            self._sink = None
            self._decoder_feed.detached()
            self.analysis.detached()

    def _send(self, record: AnyRecord) -> None:
        """Send a record to the sfu, if attached. Partial captions may be dropped, since their finals follow."""
        if self._sink is None:
            metrics.drop_unsent("detached")
        else:
            self._sink.send(record, expendable=isinstance(record, CaptionRecord) and not record.final)


async def run(config: InferenceConfig, ready: Callable[[], None]) -> None:
    """Serve until cancelled; call `ready` once the process serves (with or without models, with or without an sfu)."""
    await Inference(config).run(ready)
