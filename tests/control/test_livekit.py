"""Access tokens of LiveKit's SDKs: who is admitted to which meeting, and with which answer."""

import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import jwt
import pytest
from livekit import api
from livekit.protocol import agent

from control.config import ControlConfig
from control.database import session
from control.events import livekit_webhooks
from control.identity.livekit_tokens import signing_keys
from control.store import livekit_rooms, participants
from control.twirp.service import PREFIX
from parley.network import allocate_port
from sfu.api.registration import NodeRecord
from tests.control.harness import People, serving
from tests.support.livekit_client import KEY, KEYS, SECRET, access_token

Validate = Callable[[str], Awaitable[tuple[int, str]]]


def _with(payload: dict[str, object], **more: object) -> str:
    claims = {"iss": KEY, "sub": "ann", "exp": time.time() + 60, "video": {"roomJoin": True, "room": "r"}}
    return jwt.encode(claims | payload, SECRET, **more)


def _refused() -> list[tuple[str, int, str]]:
    """List tokens with their refusals, minted now: a token of the module's import may expire before its test.

    Statuses and texts are the reference server's, but for NUL, and for the room, which nobody owns yet.
    """
    return [
        ("", 401, "no permissions to access the room"),
        ("nonsense", 401, "invalid authorization token"),
        (access_token("ann", "r", secret="x" * 40), 401, "invalid token"),
        (access_token("ann", "r", key="foreign"), 401, "invalid API key"),
        (_with({"exp": time.time() - 3600}), 401, "invalid token"),
        (_with({"nbf": time.time() + 3600}), 401, "invalid token"),
        (_with({}, algorithm="HS384"), 401, "invalid token"),
        (jwt.encode({"iss": KEY, "sub": "ann", "exp": time.time() + 60}, None, algorithm="none"), 401, "invalid token"),
        (access_token("ann", "r", video={"roomJoin": False}), 401, "permissions denied"),
        (access_token("ann", ""), 400, "no room name"),
        (access_token("", "r"), 400, "identity cannot be empty"),
        (access_token("x" * 257, "r"), 400, "participant identity length exceeds limits: max length 256"),
        (access_token("ann", "r\x00"), 400, "names must not contain NUL"),
        (access_token("ann", "r", metadata="x" * 9000), 401, "invalid authorization token"),
        (access_token("ann", "r"), 404, "requested room does not exist"),
    ]


@asynccontextmanager
async def door(config: ControlConfig, **changes: object) -> AsyncIterator[tuple[People, Validate]]:
    """Serve, and yield callers and what answers a token."""
    async with serving(dataclasses.replace(config, **changes)) as server, aiohttp.ClientSession() as session:

        async def validate(token: str) -> tuple[int, str]:
            async with session.get(f"{server.url}/rtc/validate", params={"access_token": token}) as answer:
                return answer.status, await answer.text()

        yield People(session, server), validate


async def test_tokens_are_refused_as_sdks_expect(config: ControlConfig) -> None:
    async with door(config, livekit_keys=signing_keys(KEYS)) as (_, validate):
        for token, status, text in _refused():
            assert await validate(token) == (status, text)


async def test_a_name_leads_to_one_meeting_which_joining_makes(config: ControlConfig) -> None:
    async with door(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada") as (people, validate):
        ada = await people.user("ada")
        for _ in range(2):
            assert await validate(access_token("ann", "Daily")) == (200, "success")
        listed = await ada.ok("GET", "/api/v1/meetings")
        assert [meeting["title"] for meeting in listed["meetings"]] == ["Daily"]


async def test_tokens_for_something_else_open_nothing(config: ControlConfig) -> None:
    """A receiver of webhooks, or a participant, holds a signed token, but not one that admits to rooms."""
    async with door(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada") as (people, validate):
        ada = await people.user("ada")
        assert await validate(access_token("ann", "Daily")) == (200, "success")
        (meeting,) = (await ada.ok("GET", "/api/v1/meetings"))["meetings"]
        joined = (await ada.ok("POST", f"/api/v1/meetings/{meeting['id']}/join", {}))["token"]
        for foreign in (livekit_webhooks.authorization(KEY, SECRET, b"{}"), joined):
            assert (await validate(foreign))[0] == 401
            path = f"{ada.server.url}{PREFIX}RoomService/ListRooms"
            async with ada.session.post(path, json={}, headers={"Authorization": f"Bearer {foreign}"}) as answer:
                assert answer.status == 401
        replayed = {"Authorization": f"Bearer {access_token('ann', 'Daily', video={'roomAdmin': True})}"}
        assert (await people.nobody().call("GET", f"/api/v1/meetings/{meeting['id']}", **replayed))[0] == 401


async def test_a_token_replayed_stays_one_participant_of_one_room(config: ControlConfig, dsn: str) -> None:
    async with door(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada") as (people, validate):
        ada = await people.user("ada")
        token = access_token("ann", "Daily")
        for used in (token, token, access_token("ann", "Weekly")):
            assert await validate(used) == (200, "success")
        listed = {one["title"]: one["id"] for one in (await ada.ok("GET", "/api/v1/meetings"))["meetings"]}
        async with session(dsn) as connection:
            first = await participants.with_identity(connection, listed["Daily"], "ann", "Ann")
            again = await participants.with_identity(connection, listed["Daily"], "ann", "Ann")
            elsewhere = await participants.with_identity(connection, listed["Weekly"], "ann", "Ann")
            stranger = await livekit_rooms.participant_of(connection, listed["Weekly"], first.id)
        assert first.id == again.id != elsewhere.id
        assert stranger is None
        await ada.ok("DELETE", f"/api/v1/meetings/{listed['Daily']}")
        assert await validate(token) == (200, "success")  # the name now denotes a new meeting
        listed = {one["title"]: one["id"] for one in (await ada.ok("GET", "/api/v1/meetings"))["meetings"]}
        async with session(dsn) as connection:
            assert await livekit_rooms.participant_of(connection, listed["Daily"], first.id) is None


async def test_a_key_made_by_rest_opens_every_door_until_it_is_revoked(config: ControlConfig, dsn: str) -> None:
    async with door(config, livekit_owner="Ada") as (people, validate), serving(config) as other:
        root = await people.user("ada")
        async with session(dsn) as connection:
            await connection.execute("UPDATE users SET role = 'admin'")
        made = await root.ok("POST", "/api/v1/admin/livekit-keys", {"name": "Telehealth"})
        key, secret = made["id"], made["secret"]
        async with session(dsn) as connection:
            assert secret not in str(await connection.fetchrow("SELECT * FROM livekit_keys"))
        (listed,) = (await root.ok("GET", "/api/v1/admin/livekit-keys"))["keys"]
        assert (listed["name"], listed["secret"], listed["last_used_at"]) == ("Telehealth", None, None)
        hook = {"url": "https://example.org/hook", "all_meetings": True, "livekit_key": key}
        await root.ok("POST", "/api/v1/webhooks", hook)

        grants = api.VideoGrants(room_join=True, room="Daily", agent=True)
        token = api.AccessToken(key, secret).with_identity("ann").with_grants(grants).to_jwt()
        headers = {"Authorization": f"Bearer {token}"}
        assert await validate(token) == (200, "success")
        async with (
            root.session.ws_connect(f"{root.server.url}/agent", headers=headers) as worker,
            api.LiveKitAPI(other.url, key, secret) as sdk,
        ):
            await worker.send_bytes(agent.WorkerMessage(register=agent.RegisterWorkerRequest()).SerializeToString())
            assert agent.ServerMessage.FromString(await worker.receive_bytes(timeout=30)).HasField("register")
            await sdk.room.list_rooms(api.ListRoomsRequest())
            (listed,) = (await root.ok("GET", "/api/v1/admin/livekit-keys"))["keys"]
            assert listed["last_used_at"] is not None

            await root.ok("DELETE", f"/api/v1/admin/livekit-keys/{key}")
            assert await validate(token) == (401, "invalid API key")
            with pytest.raises(api.TwirpError, match="status=401"):  # by another process
                await sdk.room.list_rooms(api.ListRoomsRequest())
            assert (await worker.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await root.session.ws_connect(f"{root.server.url}/agent", headers=headers)
        assert await root.refused("POST", "/api/v1/webhooks", hook) == (400, "invalid_request")
        logged = [entry["action"] for entry in (await root.ok("GET", "/api/v1/admin/audit"))["entries"]]
        assert {"create_livekit_key", "revoke_livekit_key"} <= set(logged)


async def test_without_keys_everybody_is_refused(config: ControlConfig) -> None:
    async with door(config) as (_, validate):
        assert await validate(access_token("ann", "r")) == (401, "invalid API key")


@pytest.mark.parametrize("text", ["no colon", "key: short", ": " + "x" * 40])
def test_keys_are_pairs_of_names_and_long_secrets(text: str) -> None:
    with pytest.raises(ValueError, match="KEY: SECRET"):
        signing_keys(text)
    assert signing_keys(f"a: {'x' * 32},\nb: {'y:' * 20}") == {"a": "x" * 32, "b": "y:" * 20}


async def test_a_node_that_does_not_answer_is_told_before_the_handshake_ends(config: ControlConfig) -> None:
    """SDKs try again at once if the handshake is refused with 503, but take an opened socket for a session."""
    (node,) = config.nodes
    nobody = f"ws://127.0.0.1:{allocate_port()}/ws/signaling"
    dead = NodeRecord(node=node.node, signaling_url=nobody, http_url=node.http_url)
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada", nodes=(dead,))
    async with serving(config) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        await people.user("ada")
        token = access_token("ann", "r")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{server.url}/rtc", params={"access_token": token})
        assert refused.value.status == 503
