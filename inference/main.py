"""The inference process: taps consented audio at the sfu's sink socket, returns captions.

    sfu ── sink socket ──▶ SinkClient ─▶ Tap ═▶ decode worker ═▶ Captioner ═▶ engine (local worker or Triton)
                               ◀── captions ─────────────────────────┴──▶ FactReporter ── finals ──▶ control

Double arrows cross into worker processes. Without models the process runs, says so to the sfu, and starts captioning
when `parley models fetch` has put them there.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.api.http_api import InferenceApi
from inference.captions.captioner import Captioner
from inference.config import InferenceConfig
from inference.engines.engine import Engine
from inference.engines.fallback import FallbackEngine
from inference.engines.local import LocalEngine
from inference.fact_reporter import FactReporter
from inference.metrics import AVAILABLE
from inference.models import catalogue, store
from inference.models.catalogue import SPEECH_MODEL, VOICE_MODEL
from inference.sink_client import SinkClient
from inference.synthetic.detector import Detector, load_card
from inference.tap import Tap
from sfu.api.sink_records import CaptionsAvailable, TrackOpened

logger = logging.getLogger(__name__)

MISSING = "captions unavailable: run `parley models fetch`"
OFF = "captions are switched off on this server"
STARTING = "captions are starting"
_POLL_SECONDS = 2.0


def stored_models(models_dir: Path) -> tuple[Path, Path] | None:
    """Return the directories of the voice activity and speech models, or None while one is missing."""
    table = catalogue.load()
    voice = store.find(models_dir, table.named(VOICE_MODEL))
    speech = store.find(models_dir, table.named(SPEECH_MODEL))
    return None if voice is None or speech is None else (voice, speech)


class Inference:
    """The process's parts, wired."""

    def __init__(self, config: InferenceConfig) -> None:
        self._config = config
        self.api: InferenceApi | None = None
        self._voice_model: Path | None = None
        self._voice_detector: Detector | None = None
        self._local = LocalEngine(threads=config.threads, nice=config.nice, changed=self._changed)
        self.engine: Engine = self._local
        self._facts = FactReporter(config.control_url, config.node_secret, config.instance)
        self._sink = SinkClient(
            config.sink_socket,
            config.instance,
            received=self._received,
            connected=self._announce,
            disconnected=self._disconnected,
        )
        self._captioner = Captioner(config.languages, show=self._sink.send, store=self._facts.add)
        self._tap = Tap(config.nice, spoken=self._captioner.spoken, gone=self._captioner.gone, changed=self._changed)

    @property
    def decoder_pid(self) -> int | None:
        """The decode worker's process id while it runs."""
        return self._tap.pid

    @property
    def recogniser_pid(self) -> int | None:
        """The local engine worker's process id while it runs."""
        return self._local.pid

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sink.run(), name="sink")
            tasks.create_task(self._facts.run(), name="facts")
            if self._config.api_port is not None:
                self.api = InferenceApi(self, self._config.node_secret, self._config.nice, self._config.runtime_dir)
                tasks.create_task(self.api.serve(self._config.api_host, self._config.api_port), name="api")
            if self._config.voice_detector_card is not None and self._config.triton_urls:
                tasks.create_task(self._connect_detector(self._config.voice_detector_card), name="detector")
            ready()
            if not self._config.enabled:
                return
            voice, speech = await self._models()
            self._voice_model = voice / "silero_vad.onnx"
            self._announce()
            tasks.create_task(self._tap.run(self._voice_model), name="tap")
            tasks.create_task(self._local.run(speech), name="engine")
            if self._config.triton_urls:
                self._prefer_triton(tasks, store.identity(speech))
            tasks.create_task(self._captioner.run(self.engine), name="captioner")

    async def _connect_detector(self, path: Path) -> None:
        """Connect the detector that the operator's model card describes."""
        from inference.triton.detector_client import connected_detector  # noqa: PLC0415  needs the extra `triton`

        try:
            card = load_card(path)
        except (OSError, ValueError) as error:
            logger.error("no synthetic-voice detection: the model card %s cannot be used: %s", path, error)
            return
        async with connected_detector(self._config.triton_urls[0], card) as self._voice_detector:
            await asyncio.Event().wait()

    def _prefer_triton(self, tasks: asyncio.TaskGroup, identity: str) -> None:
        """Put Triton before the local engine."""
        from inference.engines.triton import TritonEngine  # noqa: PLC0415  needs the extra `triton`

        remote = TritonEngine(self._config.triton_urls, identity, changed=self._changed)
        self.engine = FallbackEngine((remote, self._local))
        tasks.create_task(remote.run(), name="triton")

    @property
    def voice_model(self) -> Path | None:
        """The voice activity model, once there."""
        return self._voice_model

    @property
    def voice_detector(self) -> Detector | None:
        """What tells generated voices, if the operator has it."""
        return self._voice_detector

    @property
    def state(self) -> tuple[bool, str | None]:
        """Whether captions can be made, and why not."""
        availability = self._availability()
        return availability.available, availability.reason

    def streams(self) -> list[TrackOpened]:
        """The tracks tapped now."""
        return self._tap.tracks()

    def models(self) -> list[dict[str, Any]]:
        """What models this version uses, and which are there."""
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
        ]

    async def _models(self) -> tuple[Path, Path]:
        """Wait until the models are there."""
        said = False
        while (found := stored_models(self._config.models_dir)) is None:
            if not said:
                logger.warning("%s (looked in %s)", MISSING, self._config.models_dir)
                said = True
            await asyncio.sleep(_POLL_SECONDS)
        return found

    def _availability(self) -> CaptionsAvailable:
        if not self._config.enabled:
            return CaptionsAvailable(available=False, reason=OFF)
        if self._voice_model is None:
            return CaptionsAvailable(available=False, reason=MISSING)
        if self.engine.model is None or not self._tap.ready:
            return CaptionsAvailable(available=False, reason=STARTING)
        return CaptionsAvailable(available=True)

    def _announce(self) -> None:
        """Tell the sfu, if one is there, whether there are captions."""
        state = self._availability()
        AVAILABLE.set(state.available)
        if self._sink.attached:
            self._sink.send(state)

    def _changed(self) -> None:
        self._captioner.engine_changed()
        self._announce()

    def _received(self, data: bytes) -> None:
        if self._config.enabled:
            self._tap.record(data)

    def _disconnected(self) -> None:
        self._tap.detached()


async def run(config: InferenceConfig, ready: Callable[[], None]) -> None:
    """Serve until cancelled; call `ready` once the process serves (with or without models, with or without an sfu)."""
    await Inference(config).run(ready)
