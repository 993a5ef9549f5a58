"""A recogniser that is slow, dead or wrong is skipped for the next one; with none left, there is an error."""

import asyncio
from collections.abc import Sequence

import pytest

from inference.messages import ClipMessage
from inference.model_error import ModelError
from inference.recognisers.fallback import FallbackRecogniser
from inference.speech.transcript import Transcript

CLIP = (ClipMessage(pcm=b""),)


class Remote:
    """A recogniser that takes `seconds` and is given up after `patience`."""

    max_batch = 8

    def __init__(self, model: str | None, seconds: float = 0.0, patience: float = 0.05) -> None:
        self.model = model
        self.asked = 0
        self._seconds, self._patience = seconds, patience

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        self.asked += 1
        try:
            await asyncio.wait_for(asyncio.sleep(self._seconds), self._patience)
        except TimeoutError as error:
            raise ModelError("too slow") from error
        return [Transcript(self.model or "", "en", 1, "en", 1, 0, 0, 1, 1, False) for _ in clips]


async def test_the_first_that_is_ready_serves() -> None:
    gone, remote, local = Remote(None), Remote("remote"), Remote("local")
    recogniser = FallbackRecogniser((gone, remote, local))
    assert (recogniser.model, recogniser.max_batch) == ("remote", 8)
    assert (await recogniser.transcribe(CLIP))[0].text == "remote"
    assert (gone.asked, local.asked) == (0, 0)


async def test_a_slow_one_is_passed_over() -> None:
    recogniser = FallbackRecogniser((Remote("remote", seconds=60), Remote("local")))
    assert (await recogniser.transcribe(CLIP))[0].text == "local"


async def test_when_none_is_left_it_is_said() -> None:
    assert FallbackRecogniser((Remote(None), Remote(None))).model is None
    with pytest.raises(ModelError, match="no speech recogniser"):
        await FallbackRecogniser((Remote(None),)).transcribe(CLIP)
    with pytest.raises(ModelError, match="too slow"):
        await FallbackRecogniser((Remote("remote", seconds=60),)).transcribe(CLIP)
