"""The interface of a speech recogniser, wherever it runs: in a local worker or on Triton."""

from collections.abc import Sequence
from typing import Protocol

from inference.messages import ClipMessage
from inference.speech.transcript import Transcript


class Recogniser(Protocol):
    """Recogniser of batches of clips."""

    @property
    def max_batch(self) -> int:
        """The number of clips above which a larger batch gains nothing."""
        ...

    @property
    def model(self) -> str | None:
        """The model's identifier in captions (name, version, hash), or None while no model is ready."""
        ...

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts in order; raises ModelError."""
        ...
