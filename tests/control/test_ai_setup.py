"""Emotion analysis: switched on only by administrators who acknowledge the law; and access to live analysis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import aiohttp.web
import pytest_asyncio

from control.config import ControlConfig
from tests.control.harness import NODE_SECRET, PASSWORD, Client, People, serving

BODY = {"emotion": True, "acknowledged": "eu-ai-act-5-1-f/1"}


async def administrator(people: People, config: ControlConfig) -> Client:
    token = (config.data_dir / "first-admin-link").read_text().strip().partition("token=")[2]
    body = {"token": token, "username": "root", "password": PASSWORD, "mode": "token"}
    return people.bearer((await people.nobody().ok("POST", "/api/v1/setup", body))["access_token"])


class Inference:
    """Answers about live tracks as inference does."""

    def __init__(self) -> None:
        self.works = False
        self.streams: list[dict[str, object]] = []

    def listen(self, room: str, participant: str, track: str, *uses: str) -> None:
        self.streams.append({"room": room, "participant": participant, "track": track, "uses": list(uses)})

    async def info(self, _: aiohttp.web.Request) -> aiohttp.web.Response:
        synthesis = {"voice": "no verdict (no model)", "face": "no verdict (no model)"}
        state = {"installed": True, "model": True, "switched_on": self.works, "works": self.works}
        return aiohttp.web.json_response({"models": [], "recogniser": None, "synthesis": synthesis, "emotion": state})

    async def list_streams(self, _: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response({"streams": self.streams})

    async def stream(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        found = next(one for one in self.streams if one["track"] == request.match_info["track"])
        about = {"expression": "uncertain", "probabilities": None}
        return aiohttp.web.json_response({**found, "media": "video", "emotion": about, "synthesis": {"outcome": "-"}})


@pytest_asyncio.fixture
async def inference() -> AsyncIterator[tuple[Inference, str]]:
    answering, app = Inference(), aiohttp.web.Application()
    app.router.add_get("/ai/v1/info", answering.info)
    app.router.add_get("/ai/v1/streams", answering.list_streams)
    app.router.add_get("/ai/v1/streams/{room}/{track}", answering.stream)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    yield answering, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_law_is_quoted_acknowledged_and_written_down(
    config: ControlConfig, inference: tuple[Inference, str]
) -> None:
    answering, url = inference
    async with serving(replace(config, inference_url=url)) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        admin = await administrator(people, config)
        ada = await people.user("ada")
        assert await ada.refused("POST", "/api/v1/ai/setup", BODY) == (403, "forbidden")
        status, problem = await admin.call("POST", "/api/v1/ai/setup", {"emotion": True})
        assert (status, problem["code"]) == (409, "not_acknowledged")
        assert "workplace and education institutions" in problem["detail"]
        before = await admin.ok("GET", "/api/v1/ai/setup")
        assert before["emotion"] is False
        assert "Article 5(1)(f)" in before["statement"]

        async def asked() -> dict[str, bool]:
            headers = {"Authorization": f"Bearer {NODE_SECRET}"}
            async with session.get(f"{server.internal}/internal/v1/ai/setup", headers=headers) as answer:
                assert answer.status == 200
                setup: dict[str, bool] = await answer.json()
                return setup

        assert await asked() == {"emotion": False}
        assert (await admin.ok("POST", "/api/v1/ai/setup", BODY))["emotion"] is True
        assert await asked() == {"emotion": True}
        nobody = people.nobody()
        assert (await nobody.ok("GET", "/api/v1/ai/analysis"))["emotion"] is False, "inference cannot yet"
        answering.works = True
        offer = {"emotion": True, "synthesis": False, "captions": False, "translation": [], "minutes": False}
        assert await nobody.ok("GET", "/api/v1/ai/analysis") == offer
        await admin.ok("POST", "/api/v1/ai/setup", {"emotion": False})
        assert (await nobody.ok("GET", "/api/v1/ai/analysis"))["emotion"] is False
        entries = (await admin.ok("GET", "/api/v1/admin/audit"))["entries"]
        acts = [(one["action"], one["detail"].get("statement")) for one in entries if "emotion" in one["action"]]
        assert acts == [("switch_emotion_off", "eu-ai-act-5-1-f/1"), ("switch_emotion_on", "eu-ai-act-5-1-f/1")]


async def test_hosts_and_oneself_see_a_live_track(config: ControlConfig, inference: tuple[Inference, str]) -> None:
    answering, url = inference
    async with serving(replace(config, inference_url=url)) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        host, ada, eve = await asyncio.gather(*(people.user(name) for name in ("host", "ada", "eve")))
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        other = (await eve.ok("POST", "/api/v1/meetings", {}))["id"]
        joined = {name: await who.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
                  for name, who in (("host", host), ("ada", ada), ("eve", eve))}  # fmt: skip
        answering.listen(meeting, joined["ada"]["participant"], "t1", "analysis")
        answering.listen(meeting, joined["host"]["participant"], "t2", "captions")
        answering.listen(other, "somebody", "t3", "analysis")
        assert (await host.ok("GET", "/api/v1/ai/streams/t1"))["emotion"]["expression"] == "uncertain"
        assert (await ada.ok("GET", "/api/v1/ai/streams/t1"))["track"] == "t1"
        assert await eve.refused("GET", "/api/v1/ai/streams/t1") == (404, "not_found")
        assert await host.refused("GET", "/api/v1/ai/streams/t2") == (404, "not_found"), "not analysed"
        assert await host.refused("GET", "/api/v1/ai/streams/t3") == (404, "not_found"), "another meeting's"
        listed = await host.ok("GET", f"/api/v1/meetings/{meeting}/analysis")
        assert [one["track"] for one in listed["tracks"]] == ["t1"]
        own = await ada.ok("GET", f"/api/v1/meetings/{meeting}/analysis")
        assert [one["track"] for one in own["tracks"]] == ["t1"]
        assert (await eve.ok("GET", f"/api/v1/meetings/{meeting}/analysis"))["tracks"] == []
