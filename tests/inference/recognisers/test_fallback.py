"""A recogniser that is slow, dead or wrong is passed over for the next; without any, that is an error to be said."""

import asyncio
from collections.abc import Sequence

import pytest

from inference.messages import ClipMessage
from inference.recognisers.fallback import FallbackEngine
from inference.recognisers.recogniser import EngineError
from inference.speech.transcript import Transcript

CLIP = (ClipMessage(pcm=b""),)


class Remote:
    """An engine that takes `seconds` and is given up after `patience`."""

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
            raise EngineError("too slow") from error
        return [Transcript(self.model or "", "en", 1, "en", 1, 0, 0, 1, 1, False) for _ in clips]


async def test_the_first_that_is_ready_serves() -> None:
    gone, remote, local = Remote(None), Remote("remote"), Remote("local")
    engine = FallbackEngine((gone, remote, local))
    assert (engine.model, engine.max_batch) == ("remote", 8)
    assert (await engine.transcribe(CLIP))[0].text == "remote"
    assert (gone.asked, local.asked) == (0, 0)


async def test_a_slow_one_is_passed_over() -> None:
    engine = FallbackEngine((Remote("remote", seconds=60), Remote("local")))
    assert (await engine.transcribe(CLIP))[0].text == "local"


async def test_when_none_is_left_it_is_said() -> None:
    assert FallbackEngine((Remote(None), Remote(None))).model is None
    with pytest.raises(EngineError, match="no speech recogniser"):
        await FallbackEngine((Remote(None),)).transcribe(CLIP)
    with pytest.raises(EngineError, match="too slow"):
        await FallbackEngine((Remote("remote", seconds=60),)).transcribe(CLIP)
