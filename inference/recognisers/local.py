"""The embedded recogniser: onnxruntime in our own worker process, which is restarted when it dies."""

from collections.abc import Callable, Sequence
from pathlib import Path

from inference import messages
from inference.messages import ClipMessage
from inference.model_error import ModelError
from inference.speech.transcript import Transcript
from inference.workers.request import RequestWorker

TIMEOUT_SECONDS = 60.0
"""Seconds for a batch after which a worker is killed."""


class LocalRecogniser:
    """A recogniser worker. `run` keeps it running until cancelled; callers of `transcribe` take turns."""

    max_batch = 4

    def __init__(self, *, threads: int, nice: int, changed: Callable[[], None]) -> None:
        """`changed` is called when `model` changes."""
        self._arguments = (str(threads), str(nice))
        self._worker = RequestWorker("recogniser", "speech recogniser", timeout=TIMEOUT_SECONDS, changed=changed)

    @property
    def model(self) -> str | None:
        return self._worker.model

    async def run(self, directory: Path) -> None:
        """Start the worker with the model in `directory`, and restart it whenever it ends, until cancelled."""
        await self._worker.run("inference.recogniser_worker", str(directory), *self._arguments)

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts; raises ModelError."""
        reply = await self._worker.ask(messages.Recognise(clips=tuple(clips)))
        if not isinstance(reply, messages.Recognised) or len(reply.transcripts) != len(clips):
            raise ModelError("unexpected answer from the speech recogniser")
        return list(reply.transcripts)
