"""Every route of the older system exists, and those that differ from a current path work."""

import re
from typing import Any

import asyncpg

from control.app import SIGNALING_PATH, declared_endpoints
from tests.control.harness import Client, Node, People, come_in

# Of the older system's inventory, in its order, but for negotiation by polling, which WHIP and WHEP replace. Parameters
# are nameless here.
KNOWN = """
GET /api/v1/csrf-token
POST /api/v1/auth/register
POST /api/v1/auth/login
POST /api/v1/auth/refresh
POST /api/v1/auth/forgot-password
POST /api/v1/auth/reset-password
GET /api/v1/users/profile
PUT /api/v1/users/profile
POST /api/v1/users/change-password
POST /api/v1/users/upload-avatar
DELETE /api/v1/users/account
GET /api/v1/admin/users
GET /api/v1/admin/users/{}
PUT /api/v1/admin/users/{}
DELETE /api/v1/admin/users/{}
POST /api/v1/admin/users/{}/ban
POST /api/v1/admin/users/{}/unban
GET /api/v1/meetings
POST /api/v1/meetings
GET /api/v1/meetings/{}
PUT /api/v1/meetings/{}
DELETE /api/v1/meetings/{}
POST /api/v1/meetings/{}/join
POST /api/v1/meetings/{}/leave
POST /api/v1/meetings/{}/start
POST /api/v1/meetings/{}/end
GET /api/v1/meetings/{}/participants
POST /api/v1/meetings/{}/participants
DELETE /api/v1/meetings/{}/participants/{}
PUT /api/v1/meetings/{}/participants/{}/role
GET /api/v1/meetings/{}/room
POST /api/v1/meetings/{}/room
DELETE /api/v1/meetings/{}/room
POST /api/v1/meetings/{}/recording/start
POST /api/v1/meetings/{}/recording/stop
GET /api/v1/meetings/{}/recordings
GET /api/v1/meetings/{}/messages
POST /api/v1/meetings/{}/messages
GET /api/v1/my/meetings
GET /api/v1/my/meetings/upcoming
GET /api/v1/my/meetings/history
GET /api/v1/admin/meetings
GET /api/v1/admin/meetings/stats
POST /api/v1/admin/meetings/{}/force-end
GET /api/v1/sessions/{}
GET /api/v1/sessions/room/{}
GET /api/v1/messages/history/{}
GET /api/v1/stats/overview
GET /api/v1/stats/rooms
GET /admin/sessions
POST /admin/cleanup/sessions
POST /api/v1/media/upload
GET /api/v1/media/download/{}
GET /api/v1/media
GET /api/v1/media/info/{}
POST /api/v1/media/process
DELETE /api/v1/media/{}
POST /api/v1/webrtc/room/{}/join
POST /api/v1/webrtc/room/{}/leave
GET /api/v1/webrtc/room/{}/peers
GET /api/v1/webrtc/room/{}/stats
GET /api/v1/webrtc/peer/{}/media
GET /api/v1/webrtc/peer/{}/status
POST /api/v1/ffmpeg/thumbnail
GET /api/v1/ffmpeg/job/{}/status
POST /api/v1/recording/start
POST /api/v1/recording/stop
GET /api/v1/recording/status/{}
GET /api/v1/recording/list
GET /api/v1/recording/download/{}
DELETE /api/v1/recording/{}
POST /api/v1/ai/asr
POST /api/v1/ai/emotion
POST /api/v1/ai/synthesis
POST /api/v1/ai/setup
POST /api/v1/ai/analyze
POST /api/v1/ai/batch
GET /api/v1/ai/health
GET /api/v1/ai/info
GET /api/v1/ai/connectivity
GET /api/v1/ai/streams
GET /api/v1/ai/streams/{}
GET /api/v1/ai/stats
GET /health
GET /metrics
"""


def test_none_is_missing() -> None:
    declared = {f"{one.method} {re.sub('<[^>]+>', '{}', one.rule)}" for one in declared_endpoints()}
    assert set(KNOWN.split("\n")[1:-1]) - declared == set()
    assert SIGNALING_PATH == "/ws/signaling"


async def joined(people: People) -> tuple[Client, str, dict[str, Any]]:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    return host, meeting, await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})


async def test_what_is_said_by_rest_is_heard_and_kept(people: People, node: Node, dsn: str) -> None:
    host, meeting, answer = await joined(people)
    path = f"/api/v1/meetings/{meeting}/messages"
    said = await host.ok("POST", path, {"text": "hello"})
    assert (said["text"], said["participant"], said["to"]) == ("hello", answer["participant"], None)
    assert node.chats == [{"kind": "chat", "id": said["id"], "text": "hello", **_of(said)}]
    assert [one["id"] for one in (await host.ok("GET", path))["messages"]] == [said["id"]]
    assert await host.refused("POST", path, {"text": " "}) == (400, "invalid_request")
    assert await host.refused("POST", path, {"text": "x", "to": "nobody"}) == (404, "not_found")
    eve = await people.user("eve")
    await host.ok("PUT", f"/api/v1/meetings/{meeting}", {"settings": {"may_chat": False}})
    eves = await eve.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    await come_in(host, meeting, eves["participant"])
    assert await eve.refused("POST", path, {"text": "x"}) == (403, "not_permitted")
    connection = await asyncpg.connect(dsn)
    events = await connection.fetch("SELECT payload FROM outbox WHERE kind = 'chat.sent'")
    await connection.close()
    assert len(events) == 1


def _of(said: dict[str, Any]) -> dict[str, Any]:
    from datetime import datetime

    at = int(datetime.fromisoformat(said["at"]).timestamp() * 1000)
    return {"participant": said["participant"], "name": said["name"], "at": at}
