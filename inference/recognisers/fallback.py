"""One engine before another: the first that is ready recognises, the next takes over what it fails at."""

from collections.abc import Sequence

from inference.messages import ClipMessage
from inference.metrics import FALLBACKS
from inference.recognisers.recogniser import Engine, EngineError
from inference.speech.transcript import Transcript


class FallbackEngine:
    """Engines in order of preference."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)

    @property
    def _ready(self) -> list[Engine]:
        return [engine for engine in self._engines if engine.model is not None]

    @property
    def max_batch(self) -> int:
        """That of the engine which would be asked now."""
        return next((engine.max_batch for engine in self._ready), 1)

    @property
    def model(self) -> str | None:
        return next((engine.model for engine in self._ready), None)

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts from the first engine that has them; raises the last one's EngineError."""
        failure = EngineError("no speech recogniser is ready")
        for number, engine in enumerate(self._ready):
            if number:
                FALLBACKS.inc()
            try:
                return await engine.transcribe(clips)
            except EngineError as error:
                failure = error
        raise failure
