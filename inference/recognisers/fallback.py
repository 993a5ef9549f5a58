"""A chain of recognisers: the first one that is ready is used, and the next takes over if it fails."""

from collections.abc import Sequence

from inference.messages import ClipMessage
from inference.metrics import FALLBACKS
from inference.model_error import ModelError
from inference.recognisers.recogniser import Recogniser
from inference.speech.transcript import Transcript


class FallbackRecogniser:
    """Recognisers in order of preference."""

    def __init__(self, recognisers: Sequence[Recogniser]) -> None:
        self._recognisers = tuple(recognisers)

    @property
    def _ready(self) -> list[Recogniser]:
        return [recogniser for recogniser in self._recognisers if recogniser.model is not None]

    @property
    def max_batch(self) -> int:
        """The batch size of the recogniser that would currently be used."""
        return next((recogniser.max_batch for recogniser in self._ready), 1)

    @property
    def model(self) -> str | None:
        return next((recogniser.model for recogniser in self._ready), None)

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts from the first recogniser that succeeds; raises the last one's ModelError."""
        failure = ModelError("no speech recogniser is ready")
        for number, recogniser in enumerate(self._ready):
            if number:
                FALLBACKS.inc()
            try:
                return await recogniser.transcribe(clips)
            except ModelError as error:
                failure = error
        raise failure
