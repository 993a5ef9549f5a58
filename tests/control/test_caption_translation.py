"""Captions in a reader's language: translated once, from what is stored, and forgotten with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from control.config import ControlConfig
from control.database import session as database
from control.store import caption_translations, caption_versions
from tests.control.harness import Client, People, come_in, report, serving
from tests.control.language_model import Model, running_model


def backwards(text: str) -> str:
    """Return the numbered lines with their words reversed."""
    numbered = [line.partition(". ") for line in text.splitlines() if line[0].isdigit()]
    return "\n".join(f"{number}. {line[::-1]}" for number, _, line in numbered)


@dataclass
class Meeting:
    model: Model
    people: People
    host: Client
    path: str
    speaker: str
    reports: int = 0

    async def say(self, **lines: str) -> None:
        said: dict[str, Any] = {
            "kind": "caption", "room": self.path.rpartition("/")[2], "participant": self.speaker, "track": "t",
            "start_ms": 0, "end_ms": 9, "lang": "en", "model": "m",
        }  # fmt: skip
        facts = []
        for utterance, text in lines.items():
            self.reports += 1
            facts.append({**said, "at": self.reports, "utterance": utterance, "text": text})
        await report(self.host, *facts, n=self.reports)

    async def read(self, reader: Client, *utterances: str, language: str = "de") -> dict[str, str]:
        body = {"language": language, "utterances": list(utterances)}
        captions = (await reader.ok("POST", f"{self.path}/captions/translate", body))["captions"]
        return {one["utterance"]: one["text"] for one in captions}


@asynccontextmanager
async def meeting_with_model(config: ControlConfig) -> AsyncIterator[Meeting]:
    async with (
        running_model() as (model, named),
        serving(replace(config, translation_model=named)) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        model.script = backwards
        people = People(session, server)
        host = await people.user("ada")
        path = f"/api/v1/meetings/{(await host.ok('POST', '/api/v1/meetings', {}))['id']}"
        speaker = (await host.ok("POST", f"{path}/join", {}))["participant"]
        yield Meeting(model, people, host, path, speaker)


async def test_many_readers_of_a_language_cost_one_call(config: ControlConfig) -> None:
    async with meeting_with_model(config) as meeting:
        guest = await meeting.people.nobody().ok("POST", f"{meeting.path}/join", {"name": "Bob"})
        await come_in(meeting.host, meeting.path.rpartition("/")[2], guest["participant"], meeting.speaker)
        bob = meeting.people.bearer(guest["participant_token"])
        await meeting.say(u1="before", u2="abc")
        meeting.model.may_answer.clear()
        readings = [asyncio.create_task(meeting.read(reader, "u2")) for reader in (meeting.host, bob, bob)]
        async with asyncio.timeout(30):
            while not meeting.model.asked:
                await asyncio.sleep(0.01)
            readings[0].cancel()  # whoever goes away takes nothing from the others
            meeting.model.may_answer.set()
            assert [await reading for reading in readings[1:]] == [{"u2": "cba"}] * 2
        assert await meeting.read(meeting.host, "u2") == {"u2": "cba"}
        ((_, asked),) = meeting.model.asked
        assert asked["messages"][1]["content"] == "- before\n1. abc"
        assert (await bob.ok("GET", "/api/v1/ai/analysis"))["translation"][:2] == ["ar", "bg"]


async def test_a_line_is_waited_for_and_one_of_the_language_is_left_alone(config: ControlConfig) -> None:
    async with meeting_with_model(config) as meeting:
        opened = {"kind": "room_opened", "room": meeting.path.rpartition("/")[2], "at": 1}
        await report(meeting.host, opened, n=1, boot="opens")
        reading = asyncio.create_task(meeting.read(meeting.host, "late", "never"))
        await meeting.say(late="abc")
        assert await reading == {"late": "cba"}
        assert await meeting.read(meeting.host, "late", language="en") == {}
        assert len(meeting.model.asked) == 1


async def test_an_edited_line_is_translated_again(config: ControlConfig, dsn: str) -> None:
    async with meeting_with_model(config) as meeting:
        await meeting.say(u1="abc")
        identifier = meeting.path.rpartition("/")[2]
        assert await meeting.read(meeting.host, "u1") == {"u1": "cba"}
        async with database(dsn) as connection:
            await caption_versions.edit(connection, identifier, "u1", "xyz", None)
            # An answer to the earlier text that comes after the edit is not kept.
            await caption_translations.keep(connection, identifier, "de", {"u1": "cba"}, {"u1": "abc"})
        assert await meeting.read(meeting.host, "u1") == {"u1": "zyx"}


async def test_a_model_that_fails_is_left_alone_for_a_moment(config: ControlConfig) -> None:
    async with meeting_with_model(config) as meeting:
        await meeting.say(u1="abc", u2="def")
        meeting.model.status = 500
        for utterance in ("u1", "u2"):
            body = {"language": "de", "utterances": [utterance]}
            refused = await meeting.host.refused("POST", f"{meeting.path}/captions/translate", body)
            assert refused == (502, "translation_failed")
        assert len(meeting.model.asked) == 1


async def test_only_those_who_may_read_and_only_a_model_translate(config: ControlConfig) -> None:
    async with meeting_with_model(config) as meeting:
        await meeting.say(u1="abc")
        path, body = f"{meeting.path}/captions/translate", {"language": "de", "utterances": ["u1"]}
        eve = await meeting.people.user("eve")
        assert await eve.refused("POST", path, body) == (403, "forbidden")
        assert await meeting.host.refused("POST", path, {**body, "language": "tlh"}) == (400, "unknown_language")
        assert await meeting.host.refused("POST", path, {**body, "utterances": ["u"] * 21}) == (400, "invalid_request")
        assert meeting.model.asked == []
    async with serving(config) as server, aiohttp.ClientSession() as session:
        host = await People(session, server).user("host")
        made = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        refused = await host.refused("POST", f"/api/v1/meetings/{made}/captions/translate", body)
        assert refused == (409, "no_translation")
