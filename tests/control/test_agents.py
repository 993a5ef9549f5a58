"""Workers of LiveKit's agent framework: admitted by token, offered dispatched jobs, notified of their end."""

import asyncio
import dataclasses
from typing import Any

import aiohttp
import jwt
import pytest
from livekit import api
from livekit.protocol import agent

from control.config import ControlConfig
from control.identity.livekit_tokens import signing_keys
from tests.control.harness import People, report, serving
from tests.support.livekit_client import KEY, KEYS, SECRET, access_token


async def told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    async with asyncio.timeout(30):
        message = agent.ServerMessage.FromString(await socket.receive_bytes())
    assert message.WhichOneof("message") == kind
    return getattr(message, kind)


async def say(socket: aiohttp.ClientWebSocketResponse, **message: Any) -> None:
    await socket.send_bytes(agent.WorkerMessage(**message).SerializeToString())


async def test_what_is_dispatched_and_ended_here_is_told_at_once(
    config: ControlConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.twirp.workers._POLL_SECONDS", 600)
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada")
    async with serving(config) as server, aiohttp.ClientSession() as session:
        await People(session, server).user("ada")
        lets_in = access_token("", "", video={"roomJoin": False, "agent": True})
        headers = {"Authorization": f"Bearer {lets_in}"}
        async with (
            session.ws_connect(f"{server.url}/agent", headers=headers) as worker,
            api.LiveKitAPI(server.url, KEY, SECRET) as lk,
        ):
            await say(worker, register=agent.RegisterWorkerRequest(agent_name="bot"))
            await told(worker, "register")
            made = await lk.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(room="Daily", agent_name="bot")
            )
            offered = (await told(worker, "availability")).job
            yes = agent.AvailabilityResponse(job_id=offered.id, available=True, participant_identity="agent-1")
            await say(worker, availability=yes)
            await told(worker, "assignment")
            await lk.agent_dispatch.delete_dispatch(made.id, "Daily")
            assert (await told(worker, "termination")).job_id == offered.id


async def test_a_worker_is_offered_what_is_dispatched(config: ControlConfig) -> None:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada")
    async with serving(config) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        url, lets_in = f"{server.url}/agent", access_token("", "", video={"roomJoin": False, "agent": True})
        headers = {"Authorization": f"Bearer {lets_in}"}
        async with session.ws_connect(url, headers=headers) as worker, api.LiveKitAPI(server.url, KEY, SECRET) as lk:
            await say(worker, register=agent.RegisterWorkerRequest(agent_name="bot"))
            assert (await told(worker, "register")).worker_id.startswith("AW_")
            await say(worker, ping=agent.WorkerPing(timestamp=5))
            assert (await told(worker, "pong")).last_timestamp == 5

            dispatches = lk.agent_dispatch
            asked = api.CreateAgentDispatchRequest(room="Daily", agent_name="bot", metadata="m", attributes={"a": "b"})
            made = await dispatches.create_dispatch(asked)
            offered = (await told(worker, "availability")).job
            assert (offered.dispatch_id, offered.room.name, offered.metadata) == (made.id, "Daily", "m")
            yes = agent.AvailabilityResponse(job_id=offered.id, available=True, participant_identity="agent-1")
            await say(worker, availability=yes)
            assigned = await told(worker, "assignment")
            claims = jwt.decode(assigned.token, SECRET, algorithms=["HS256"])
            assert (claims["sub"], claims["kind"], claims["video"]["room"]) == ("agent-1", "agent", "Daily")
            async with session.get(f"{server.url}/rtc/validate", params={"access_token": assigned.token}) as answer:
                assert answer.status == 200
            (listed,) = await dispatches.list_dispatch("Daily")
            (job,) = listed.state.jobs
            assert (job.state.status, job.state.participant_identity) == (agent.JobStatus.JS_RUNNING, "agent-1")
            await dispatches.delete_dispatch(made.id, "Daily")
            assert (await told(worker, "termination")).job_id == offered.id
            assert await dispatches.list_dispatch("Daily") == []

            by_token = {"roomConfig": {"agents": [{"agentName": "bot", "metadata": "by token"}]}}
            token = access_token("ann", "Weekly", **by_token)
            async with session.get(f"{server.url}/rtc/validate", params={"access_token": token}) as answer:
                assert answer.status == 200
            offered = (await told(worker, "availability")).job
            assert (offered.room.name, offered.metadata) == ("Weekly", "by token")
            await say(worker, availability=agent.AvailabilityResponse(job_id=offered.id, available=False))

        (meeting, *_) = [
            one for one in (await ada.ok("GET", "/api/v1/meetings"))["meetings"] if one["title"] == "Weekly"
        ]
        async with session.ws_connect(url, headers=headers) as worker:
            await say(worker, register=agent.RegisterWorkerRequest())
            await told(worker, "register")
            await report(ada, {"kind": "room_opened", "room": meeting["id"], "at": 1}, n=1)
            assert (await told(worker, "availability")).job.room.name == "Weekly"
            await worker.send_bytes(b"\xff")
            closed = await worker.receive()
            assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_only_agents_are_let_in(config: ControlConfig) -> None:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS))
    async with serving(config) as server, aiohttp.ClientSession() as session:
        for token, status in ((access_token("x", "r"), 401), ("nonsense", 401), ("", 401)):
            try:
                await session.ws_connect(f"{server.url}/agent", headers={"Authorization": f"Bearer {token}"})
            except aiohttp.WSServerHandshakeError as refused:
                assert refused.status in {status, 403}
            else:
                raise AssertionError(token)
