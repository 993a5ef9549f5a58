"""The embedded engine: onnxruntime in a worker process of our own, restarted when it dies."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from inference import messages
from inference.child import Backoff, Child, confinement
from inference.engines.engine import EngineError
from inference.messages import ClipMessage
from inference.metrics import RESTARTS
from inference.speech.transcript import Transcript

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 60.0
"""A worker that takes longer for a batch hangs: it is killed."""


class LocalEngine:
    """An engine worker. `run` keeps it alive until cancelled; callers of `transcribe` take turns."""

    max_batch = 4

    def __init__(self, *, threads: int, nice: int, changed: Callable[[], None]) -> None:
        """`changed` is called when `model` changes."""
        self._arguments = (str(threads), str(nice))
        self._changed = changed
        self._child: Child | None = None
        self._model: str | None = None
        self._reply: asyncio.Future[messages.AnyMessage] | None = None
        self._turn = asyncio.Lock()

    @property
    def model(self) -> str | None:
        return self._model

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._child.pid if self._child is not None else None

    async def run(self, directory: Path, denoiser: tuple[Path, float] | None = None) -> None:
        """Start the worker with the model in `directory`, and again whenever it ends, until cancelled.

        `denoiser` is the directory of that model and the share that it has in what is recognised.
        """
        more = () if denoiser is None else (str(denoiser[0]), str(denoiser[1]))
        backoff = Backoff()
        while True:
            await backoff.wait()
            try:
                self._child = child = await Child.start(
                    "inference.engine_worker", str(directory), *self._arguments, *more
                )
            except OSError as error:
                logger.error("cannot start the speech recogniser: %s", error)
                continue
            try:
                await self._serve(child, backoff)
            finally:
                self._child = None
                self._set_model(None)
                self._fail("the speech recogniser ended")
                status = await child.stop()
            RESTARTS.labels("recogniser").inc()
            logger.error("the speech recogniser ended with status %d; starting it again", status)

    async def _serve(self, child: Child, backoff: Backoff) -> None:
        while (message := await child.receive()) is not None:
            if isinstance(message, messages.Ready):
                level, held = confinement(message)
                logger.log(level, "speech recogniser %s ready, %s", message.model, held)
                self._set_model(message.model)
            elif self._reply is not None and not self._reply.done():
                backoff.reset()
                self._reply.set_result(message)

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts; raises EngineError."""
        async with self._turn:
            return await self._transcribe(clips)

    async def _transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        child = self._child
        if child is None or self._model is None:
            raise EngineError("the speech recogniser is not ready")
        self._reply = asyncio.get_running_loop().create_future()
        if not child.send(messages.encode(messages.Recognise(clips=tuple(clips)))):
            raise EngineError("the speech recogniser takes no more")
        try:
            reply = await asyncio.wait_for(self._reply, TIMEOUT_SECONDS)
        except TimeoutError as error:
            await child.stop()
            raise EngineError("the speech recogniser hangs") from error
        finally:
            self._reply = None
        if isinstance(reply, messages.Failed):
            raise EngineError(reply.reason)
        if not isinstance(reply, messages.Recognised) or len(reply.transcripts) != len(clips):
            raise EngineError("the speech recogniser answered something else")
        return list(reply.transcripts)

    def _set_model(self, model: str | None) -> None:
        if model != self._model:
            self._model = model
            self._changed()

    def _fail(self, reason: str) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(EngineError(reason))
