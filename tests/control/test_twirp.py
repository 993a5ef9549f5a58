"""The server API with nobody in a room, as SDKs use it: rooms, grants, encodings and refusals."""

import dataclasses
import json
from typing import Any

import aiohttp
from livekit.protocol import models
from livekit.protocol import room as protocol

from control.config import ControlConfig
from control.identity.livekit_tokens import signing_keys
from control.twirp.service import PREFIX
from tests.control.harness import People, Server, serving
from tests.support.livekit_client import KEYS, access_token

ROOMS = f"{PREFIX}RoomService/"
ANYTHING = {"roomJoin": False, "roomCreate": True, "roomList": True, "roomAdmin": True}


async def call(
    session: aiohttp.ClientSession,
    server: Server,
    method: str,
    body: bytes | dict[str, Any] = b"{}",
    *,
    kind: str = "application/json",
    room: str = "r",
    verb: str = "POST",
    **video: bool,
) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {access_token('', room, video=video or ANYTHING)}", "Content-Type": kind}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    path = method if method.startswith("/") else ROOMS + method
    async with session.request(verb, server.url + path, data=data, headers=headers) as answer:
        return answer.status, await answer.read()


def code_of(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["code"]


async def test_a_room_is_made_listed_changed_and_deleted(config: ControlConfig) -> None:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada")
    async with serving(config) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        ada = await people.user("ada")
        asked = {"name": "Daily", "metadata": "about", "emptyTimeout": 60, "max_participants": 7, "unknown": 1}
        status, body = await call(session, server, "CreateRoom", asked)
        made = json.loads(body)
        assert (status, made["name"], made["metadata"]) == (200, "Daily", "about")
        assert (made["empty_timeout"], made["departure_timeout"], made["max_participants"]) == (60, 20, 7)
        (meeting,) = (await ada.ok("GET", "/api/v1/meetings"))["meetings"]
        assert made["sid"] == f"RM_{meeting['id']}"
        assert (await ada.ok("GET", f"/api/v1/meetings/{meeting['id']}"))["settings"]["capacity"] == 7

        again = protocol.CreateRoomRequest(name="Daily", metadata="other").SerializeToString()
        status, body = await call(session, server, "CreateRoom", again, kind="application/protobuf")
        assert models.Room.FromString(body).metadata == "about"

        changed = await call(session, server, "UpdateRoomMetadata", {"room": "Daily", "metadata": "new"}, room="Daily")
        assert json.loads(changed[1])["metadata"] == "new"
        for names, count in (([], 1), (["Daily"], 1), (["Weekly"], 0)):
            _, body = await call(session, server, "ListRooms", {"names": names})
            assert len(json.loads(body)["rooms"]) == count

        assert await call(session, server, "DeleteRoom", {"room": "Daily"}) == (200, b"{}")
        assert code_of(await call(session, server, "DeleteRoom", {"room": "Daily"})) == (404, "not_found")
        assert json.loads((await call(session, server, "ListRooms"))[1]) == {"rooms": []}
        async with session.post(f"{server.url}{ROOMS}ListRooms", json={}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "unauthenticated")


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("ListRooms", {"roomList": False}, 401, "unauthenticated"),
    ("CreateRoom", {"roomList": True}, 401, "unauthenticated"),
    ("DeleteRoom", {"roomAdmin": True}, 401, "unauthenticated"),
    *[
        (method, {"body": {"room": "other", "identity": "ann"}}, 401, "unauthenticated")
        for method in ("ListParticipants", "GetParticipant", "RemoveParticipant", "MutePublishedTrack", "SendData")
    ],
    *[
        (method, {"body": {"room": "other", "metadata": "m"}}, 401, "unauthenticated")
        for method in ("UpdateParticipant", "UpdateSubscriptions", "UpdateRoomMetadata")
    ],
    ("GetParticipant", {"body": {"room": "r", "identity": "nobody"}}, 404, "not_found"),
    ("RemoveParticipant", {"body": {"room": "r", "identity": "nobody"}}, 404, "not_found"),
    ("SendData", {"body": {"room": "r"}}, 404, "not_found"),
    ("CreateRoom", {"body": {}}, 400, "invalid_argument"),
    ("CreateRoom", {"body": {"name": "a\x00b"}}, 400, "invalid_argument"),
    ("CreateRoom", {"body": {"name": "r", "metadata": "x" * 70_000}}, 400, "invalid_argument"),
    ("CreateRoom", {"body": {"name": "r"}}, 412, "failed_precondition"),  # nobody may own its meeting yet
    ("MoveParticipant", {"body": {"room": "r", "identity": "a", "destination_room": "s"}}, 401, "unauthenticated"),
    ("ForwardParticipant", {}, 501, "unimplemented"),
    ("ListRooms", {"body": b'{"x'}, 400, "malformed"),
    ("ListRooms", {"body": b"\xff\xff", "kind": "application/protobuf"}, 400, "malformed"),
    ("ListRooms", {"body": b'{"names":' * 2000, "kind": "application/json"}, 400, "malformed"),
    ("ListRooms", {"kind": "text/plain"}, 404, "bad_route"),
    ("ListRooms", {"verb": "GET"}, 404, "bad_route"),
    ("Nothing", {}, 404, "bad_route"),
    (f"{PREFIX}SIP/CreateSIPTrunk", {}, 501, "unimplemented"),
]


async def test_refusals_are_those_that_sdks_know(config: ControlConfig) -> None:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS))
    async with serving(config) as server, aiohttp.ClientSession() as session:
        for method, how, status, code in REFUSED:
            assert code_of(await call(session, server, method, **how)) == (status, code), (method, how)


async def test_what_does_not_exist_is_not_found(config: ControlConfig) -> None:
    async with serving(config) as server, aiohttp.ClientSession() as session:
        assert (await call(session, server, f"{PREFIX}Nothing/Nothing"))[0] == 404
        assert (await call(session, server, f"{ROOMS}ListRooms"))[0] == 401
