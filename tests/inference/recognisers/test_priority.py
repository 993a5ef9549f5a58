"""Live speech goes before files, and a file goes on beside a meeting that never pauses."""

import asyncio
from collections.abc import Sequence

import pytest

from inference.messages import ClipMessage
from inference.recognisers import priority as turns
from inference.recognisers.priority import LiveFirst, Patient
from inference.speech.transcript import Transcript


class Slow:
    """An engine whose passes end when they are told to."""

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
    engine = Slow()
    live = LiveFirst(engine)
    speech = asyncio.create_task(live.transcribe(clip("live")))
    await asyncio.sleep(0)
    file = asyncio.create_task(Patient(live).transcribe(clip("file")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert engine.begun == ["live"]
    engine.go_on.set()
    await asyncio.gather(speech, file)
    assert engine.begun == ["live", "file"]


async def test_live_speech_does_not_wait_for_a_file() -> None:
    engine = Slow()
    live = LiveFirst(engine)
    file = asyncio.create_task(Patient(live).transcribe(clip("file")))
    async with asyncio.timeout(30):
        while engine.begun != ["file"]:
            await asyncio.sleep(0)
        speech = asyncio.create_task(live.transcribe(clip("live")))
        while engine.begun != ["file", "live"]:
            await asyncio.sleep(0)
    engine.go_on.set()
    await asyncio.gather(file, speech)


async def test_a_file_is_not_starved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.05)
    engine = Slow()
    live = LiveFirst(engine)
    speech = asyncio.create_task(live.transcribe(clip("live")))
    file = asyncio.create_task(Patient(live).transcribe(clip("file")))
    async with asyncio.timeout(30):
        while "file" not in engine.begun:
            await asyncio.sleep(0.01)
    engine.go_on.set()
    await asyncio.gather(speech, file)
