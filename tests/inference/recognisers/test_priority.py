"""Live speech comes before files, and a file still progresses beside a meeting that never pauses."""

import asyncio
from collections.abc import Sequence

import pytest

from inference.messages import ClipMessage
from inference.recognisers import priority as turns
from inference.recognisers.priority import LivePriority, LowPriority
from inference.speech.transcript import Transcript
from tests.support.waiting import eventually


class Slow:
    """A recogniser whose passes end when they are told to."""

    max_batch = 4
    model = "m"

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = asyncio.Event()

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        self.begun.append(clips[0].language or "")
        await self.go_on.wait()
        return []


def clip(name: str) -> list[ClipMessage]:
    return [ClipMessage(pcm=b"", language=name)]


async def test_a_file_waits_for_live_speech() -> None:
    recogniser = Slow()
    live = LivePriority(recogniser)
    speech = asyncio.create_task(live.transcribe(clip("live")))
    await asyncio.sleep(0)
    file = asyncio.create_task(LowPriority(live).transcribe(clip("file")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert recogniser.begun == ["live"]
    recogniser.go_on.set()
    await asyncio.gather(speech, file)
    assert recogniser.begun == ["live", "file"]


async def test_live_speech_does_not_wait_for_a_file() -> None:
    recogniser = Slow()
    live = LivePriority(recogniser)
    file = asyncio.create_task(LowPriority(live).transcribe(clip("file")))
    async with asyncio.timeout(30):
        while recogniser.begun != ["file"]:
            await asyncio.sleep(0)
        speech = asyncio.create_task(live.transcribe(clip("live")))
        while recogniser.begun != ["file", "live"]:
            await asyncio.sleep(0)
    recogniser.go_on.set()
    await asyncio.gather(file, speech)


async def test_a_file_is_not_starved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.05)
    recogniser = Slow()
    live = LivePriority(recogniser)
    speech = asyncio.create_task(live.transcribe(clip("live")))
    file = asyncio.create_task(LowPriority(live).transcribe(clip("file")))
    await eventually(lambda: "file" in recogniser.begun)
    recogniser.go_on.set()
    await asyncio.gather(speech, file)
