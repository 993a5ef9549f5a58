"""Minutes: a transcript is published when a meeting ends, a model summarizes it, and failures are reported."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from control.ai.language_model import LanguageModelFailed, complete
from control.config import ControlConfig, LanguageModelConfig
from control.jobs import minutes
from control.store.transcript import CaptionRow
from tests.control.harness import Client, People, report, serving
from tests.control.language_model import Model, running_model


@pytest_asyncio.fixture
async def model() -> AsyncIterator[tuple[Model, LanguageModelConfig]]:
    async with running_model() as running:
        yield running


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minutes.handlers, "__defaults__", (0.0,))


async def ended_meeting(host: Client) -> str:
    meeting = str((await host.ok("POST", "/api/v1/meetings", {}))["id"])
    joined = (await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
    said = {
        "kind": "caption", "room": meeting, "at": 1, "participant": joined, "track": "t", "utterance": "u",
        "start_ms": 61_000, "end_ms": 62_000, "lang": "en", "model": "m", "text": "hello there",
    }  # fmt: skip
    await report(host, said, n=1)
    await host.ok("POST", f"/api/v1/meetings/{meeting}/end")
    return meeting


async def written(host: Client, meeting: str, *states: str) -> Any:
    async with asyncio.timeout(30):
        while (found := await host.ok("GET", f"/api/v1/meetings/{meeting}/minutes"))["state"] not in states or not (
            found["lines"]
        ):
            await asyncio.sleep(0.05)
        return found


async def test_a_meeting_is_summed_up(config: ControlConfig, model: tuple[Model, LanguageModelConfig]) -> None:
    answering, named = model
    async with serving(replace(config, language_model=named)) as server, aiohttp.ClientSession() as session:
        host = await People(session, server).user("ada")
        found = await written(host, await ended_meeting(host), "ready")
        assert (found["text"], found["model"], found["lines"]) == ("They greeted.", "llm-1", 1)
        ((authorization, asked),) = answering.asked
        assert authorization == "Bearer k"
        assert asked["model"] == "llm-1"
        assert asked["messages"][1]["content"] == "[01:01] ada: hello there\n"


async def test_a_failure_is_said_and_can_be_tried_again(
    config: ControlConfig, model: tuple[Model, LanguageModelConfig]
) -> None:
    answering, named = model
    answering.status = 401
    async with serving(replace(config, language_model=named)) as server, aiohttp.ClientSession() as session:
        host = await People(session, server).user("ada")
        meeting = await ended_meeting(host)
        found = await written(host, meeting, "failed")
        assert (found["text"], found["error"]) == (None, "the endpoint answered 401")
        answering.status = 200
        await host.ok("POST", f"/api/v1/meetings/{meeting}/minutes")
        assert (await written(host, meeting, "ready"))["error"] is None


async def test_without_a_model_the_transcript_goes_out_all_the_same(config: ControlConfig, dsn: str) -> None:
    async with serving(config) as server, aiohttp.ClientSession() as session:
        host = await People(session, server).user("ada")
        meeting = await ended_meeting(host)
        assert (await written(host, meeting, "none"))["text"] is None
        connection = await asyncpg.connect(config.database_dsn)
        rows = await connection.fetch("SELECT payload FROM outbox WHERE kind = 'meeting.transcript'")
        await connection.close()
        assert len(rows) == 1
        assert "hello there" in rows[0]["payload"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://llm.example.org/v1", "https"),
        ("https://127.0.0.1/v1", "public internet"),
        ("https://10.1.2.3/v1", "public internet"),
        ("https://localhost/v1", "public internet"),
    ],
)
async def test_an_endpoint_inside_is_not_called(url: str, why: str) -> None:
    with pytest.raises(LanguageModelFailed, match=why):
        await complete(LanguageModelConfig(url=url, model="m"), "sum up", "text")


@pytest.mark.parametrize(
    "answer", [{}, {"choices": []}, {"choices": [{"message": {"content": "  "}}]}, [1], {"choices": [{"message": 1}]}]
)
async def test_nonsense_is_no_summary(model: tuple[Model, LanguageModelConfig], answer: Any) -> None:
    answering, named = model
    answering.answer = answer
    with pytest.raises(LanguageModelFailed):
        await complete(named, "sum up", "text")


def test_a_transcript_is_cut_and_its_lines_hold() -> None:
    row = CaptionRow("u", "p", "A\nda", 0, 10, "en", "one\ntwo")
    assert minutes.bounded_text([row]) == ("[00:00] A da: one two\n", False)
    text, cut = minutes.bounded_text([replace(row, text="x" * 1000)] * 200)
    assert (len(text), cut) == (minutes.MAX_TRANSCRIPT, True)
