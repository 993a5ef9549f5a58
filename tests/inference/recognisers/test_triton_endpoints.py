"""Several scripted Triton endpoints: balanced, checked, hedged when slow, skipped when they fail or are wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from inference import breaker
from inference.messages import ClipMessage
from inference.metrics import DROPS, HEDGES
from inference.model_error import ModelError
from inference.recognisers import triton
from inference.recognisers.triton import TritonRecogniser
from inference.speech.transcript import Transcript
from tests.support.waiting import eventually

MODEL = "whisper-base-1.0.0+12345678"
CLIP = ClipMessage(pcm=bytes(32_000))


class Answer:
    """An answer of the client library: the bytes of one tensor."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def as_numpy(self, _: str) -> Any:
        return np.frombuffer(self._content, np.uint8)


@dataclass
class Scripted:
    """An endpoint that the test controls; it counts requests."""

    url: str
    ready: bool = True
    serves: str = MODEL
    does: str = "answer"
    asked: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def is_model_ready(self, _: str, client_timeout: float) -> bool:
        if self.does == "dead":
            raise InferenceServerException("nobody there")
        return self.ready

    async def get_model_config(self, _: str, as_json: bool, client_timeout: float) -> dict[str, Any]:
        return {"config": {"parameters": {"identity": {"string_value": self.serves}}}}

    async def infer(self, *_: Any, **__: Any) -> Answer:
        self.asked += 1
        if self.does == "wait":
            await self.go.wait()
        if self.does in {"fail", "dead"}:
            raise InferenceServerException("out of memory")
        if self.does == "nonsense":
            return Answer(b"\x00\x01 no transcript")
        await asyncio.sleep(0)
        transcript = Transcript(self.url, "en", 1.0, "en", 1.0, 0.0, -0.1, 1.0, 1, False)
        return Answer(msgspec.json.encode(transcript))

    async def close(self) -> None:
        self.go.set()


@contextlib.asynccontextmanager
async def recogniser_of(monkeypatch: pytest.MonkeyPatch, *servers: Scripted) -> AsyncIterator[TritonRecogniser]:
    known = {server.url: server for server in servers}
    monkeypatch.setattr(triton.triton, "InferenceServerClient", known.__getitem__)
    monkeypatch.setattr(triton, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(triton, "_LEAST_HEDGE", 0.1)
    monkeypatch.setattr(triton, "_HEDGE_FACTOR", 0.0)
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 200_000_000)
    recogniser = TritonRecogniser([server.url for server in servers], MODEL, changed=lambda: None)
    task = asyncio.create_task(recogniser.run())
    try:
        await eventually(lambda: all(one.healthy for one in recogniser._endpoints) and bool(recogniser._endpoints))
        yield recogniser
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_clips_are_spread_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [Scripted(name) for name in "abc"]
    async with recogniser_of(monkeypatch, *servers) as recogniser:
        heard = await recogniser.transcribe([CLIP] * 9)
    assert [server.asked for server in servers] == [3, 3, 3]
    assert {one.text for one in heard} == {"a", "b", "c"}


async def test_a_busy_endpoint_gets_less(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = Scripted("slow"), Scripted("quick")
    async with recogniser_of(monkeypatch, slow, quick) as recogniser:
        recogniser._endpoints[0].seconds = 4 * recogniser._endpoints[1].seconds
        await recogniser.transcribe([CLIP] * 5)
    assert (slow.asked, quick.asked) == (1, 4)


async def test_the_slow_one_is_hedged_and_the_first_answer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = Scripted("slow", does="wait"), Scripted("quick")
    before = HEDGES._value.get()
    async with recogniser_of(monkeypatch, slow, quick) as recogniser:
        recogniser._endpoints[1].seconds = 100.0  # so that the slow one is asked first
        (heard,) = await recogniser.transcribe([CLIP])
    assert (heard.text, slow.asked, quick.asked) == ("quick", 1, 1)
    assert HEDGES._value.get() == before + 1


async def test_what_keeps_failing_is_held_back_then_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = Scripted("bad", does="fail"), Scripted("good")
    async with recogniser_of(monkeypatch, bad, good) as recogniser:
        for _ in range(breaker.THRESHOLD + 3):
            recogniser._endpoints[1].seconds = 100.0
            (heard,) = await recogniser.transcribe([CLIP])
            assert heard.text == "good"
        assert bad.asked == breaker.THRESHOLD
        bad.does = "answer"
        await eventually(lambda: not recogniser._endpoints[0].breaker.open)
        (heard,) = await recogniser.transcribe([CLIP])
        assert heard.text == "bad"


async def test_nonsense_is_believed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, good = Scripted("wrong", does="nonsense"), Scripted("good")
    before = DROPS.labels("triton", "nonsense")._value.get()
    async with recogniser_of(monkeypatch, wrong, good) as recogniser:
        recogniser._endpoints[1].seconds = 100.0
        assert [one.text for one in await recogniser.transcribe([CLIP])] == ["good"]
        assert recogniser._endpoints[0].breaker.open
    assert DROPS.labels("triton", "nonsense")._value.get() > before


@pytest.mark.parametrize("change", [{"ready": False}, {"does": "dead"}])
async def test_what_fails_its_health_check_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    first, second = Scripted("first"), Scripted("second")
    async with recogniser_of(monkeypatch, first, second) as recogniser:
        for name, value in change.items():
            setattr(first, name, value)
        await eventually(lambda: not recogniser._endpoints[0].healthy)
        await recogniser.transcribe([CLIP] * 4)
        assert (first.asked, second.asked) == (0, 4)
        for name, value in change.items():
            setattr(second, name, value)
        await eventually(lambda: recogniser.model is None)
        with pytest.raises(ModelError, match="no Triton endpoint is healthy"):
            await recogniser.transcribe([CLIP])


async def test_who_loses_its_endpoint_meanwhile_asks_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "_LEAST_HEDGE", 60.0)
    first, second = Scripted("first", does="wait"), Scripted("second")
    async with recogniser_of(monkeypatch, first, second) as recogniser:
        monkeypatch.setattr(triton, "_LEAST_HEDGE", 60.0)
        recogniser._endpoints[1].seconds = 100.0
        asking = asyncio.create_task(recogniser.transcribe([CLIP]))
        await eventually(lambda: first.asked == 1)
        first.ready = False
        (heard,) = await asking
    assert heard.text == "second"
