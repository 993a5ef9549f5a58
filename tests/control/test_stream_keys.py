"""Stream keys: hosts create, list and delete them; nodes exchange them for join tokens for their holders."""

from typing import Any

import asyncpg
import jwt
import pytest

from sfu.api.stream_key import is_stream_key, key_hash
from tests.control.harness import NODE_SECRET, Client, Node, People, report

ROLES = {"publish": "whip", "watch": "whep"}


async def meeting_of(host: Client, **fields: Any) -> str:
    return str((await host.ok("POST", "/api/v1/meetings", fields))["id"])


async def key_of(host: Client, meeting: str, role: str = "publish", **fields: Any) -> dict[str, Any]:
    body = {"name": "Camera van", "role": role, **fields}
    made: dict[str, Any] = await host.ok("POST", f"/api/v1/meetings/{meeting}/stream-keys", body)
    return made


async def exchange(client: Client, secret: str, role: str = "publish", room: str = "") -> dict[str, Any]:
    """Return what a node gets for a key: the claims of a token, or the code of a refusal."""
    body = {"key_hash": key_hash(secret).hex(), "role": role, "room": room}
    url = f"{client.server.internal}/internal/v1/stream-keys/admit"
    async with client.session.post(url, json=body, headers={"Authorization": f"Bearer {NODE_SECRET}"}) as answer:
        assert answer.status == 200, await answer.text()
        admission = await answer.json()
    if admission["token"]:
        claims: dict[str, Any] = jwt.decode(admission["token"], options={"verify_signature": False})
        return claims
    return {"code": admission["code"]}


async def post(client: Client, role: str, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/sdp"}
    async with client.session.post(f"{client.server.url}/{ROLES[role]}", data=b"v=0", headers=headers) as answer:
        return answer.status


async def test_nginx_is_told_the_node_of_a_key(people: People, node: Node) -> None:
    host = await people.user("ada")
    made = await key_of(host, await meeting_of(host))
    headers = {
        "Authorization": f"Bearer {NODE_SECRET}",
        "X-Original-URI": "/whip",
        "X-Original-Authorization": f"Bearer {made['secret']}",
    }
    async with host.session.get(f"{host.server.internal}/internal/v1/route", headers=headers) as answer:
        assert answer.status == 204
        assert node.url.endswith(answer.headers["X-Parley-Node"])


@pytest.mark.parametrize("role", list(ROLES))
async def test_a_key_leads_to_its_meeting_again_and_again(people: People, node: Node, role: str) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    made = await key_of(host, meeting, role)
    assert is_stream_key(made["secret"])
    assert made["url"] == f"/{ROLES[role]}"
    for _ in range(3):
        assert await post(host, role, made["secret"]) == 201
        claims = await exchange(host, made["secret"], role)
        assert (claims["room"], claims["name"]) == (meeting, "Camera van")
    assert len(node.requests) == 3
    (listed,) = (await host.ok("GET", f"/api/v1/meetings/{meeting}/stream-keys"))["keys"]
    assert (listed["id"], listed["secret"]) == (made["id"], None)
    assert listed["last_used_at"] is not None


async def test_a_publisher_is_one_participant_and_each_player_is_another(people: People, dsn: str) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    camera, wall = await key_of(host, meeting), await key_of(host, meeting, "watch")
    assert len({(await exchange(host, camera["secret"]))["participant"] for _ in range(3)}) == 1
    players = [(await exchange(host, wall["secret"], "watch"))["participant"] for _ in range(2)]
    assert players[0] != players[1]
    await _age(dsn)
    joined = {"kind": "participant_joined", "room": meeting, "at": 1, "participant": players[0], "name": "Wall"}
    await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, joined, n=1)
    again = [(await exchange(host, wall["secret"], "watch"))["participant"] for _ in range(2)]
    assert again[0] == players[1]  # the place of who is gone
    assert again[1] not in players


async def test_a_key_is_for_one_role_and_one_meeting_while_it_holds(people: People, dsn: str) -> None:
    host = await people.user("ada")
    meeting, other = await meeting_of(host), await meeting_of(host)
    secret = (await key_of(host, meeting))["secret"]
    assert await exchange(host, secret, "watch") == {"code": "not_permitted"}
    assert await exchange(host, secret, room=other) == {"code": "foreign_token"}
    assert await exchange(host, "stream_nonsense") == {"code": "bad_token"}
    assert await post(host, "publish", "stream_nonsense") == 401
    brief = await key_of(host, meeting, expires_at="2999-01-01T00:00:00Z")
    assert "room" in await exchange(host, brief["secret"])
    await _execute(dsn, "UPDATE stream_keys SET expires_at = now() WHERE id = $1", brief["id"])
    assert await exchange(host, brief["secret"]) == {"code": "bad_token"}
    await host.ok("POST", f"/api/v1/meetings/{meeting}/end")
    assert await exchange(host, secret) == {"code": "ended"}
    path = f"/api/v1/meetings/{meeting}/stream-keys"
    assert await host.refused("POST", path, {"name": "x", "role": "watch"}) == (410, "meeting_ended")


async def test_a_key_passes_lobby_passcode_and_lock(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, passcode="secret", settings={"lobby": True, "locked": True})
    claims = await exchange(host, (await key_of(host, meeting))["secret"])
    assert claims["returning"] is True


async def test_deleting_a_key_ends_it_and_puts_out_who_came_by_it(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    made = await key_of(host, meeting)
    participant = (await exchange(host, made["secret"]))["participant"]
    path = f"/api/v1/meetings/{meeting}/stream-keys/{made['id']}"
    await host.ok("DELETE", path)
    assert participant in (await node.wait_for_version(2))["removed"]
    assert await exchange(host, made["secret"]) == {"code": "bad_token"}
    assert await post(host, "publish", made["secret"]) == 401
    assert await host.refused("DELETE", path) == (404, "not_found")


async def test_who_was_removed_does_not_come_back_by_the_key(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    secret = (await key_of(host, meeting))["secret"]
    participant = (await exchange(host, secret))["participant"]
    await host.ok("POST", f"/api/v1/meetings/{meeting}/participants/{participant}/remove", {})
    assert await exchange(host, secret) == {"code": "removed"}


async def test_only_hosts_make_keys_and_not_without_bound(people: People) -> None:
    host, guest = await people.user("ada"), await people.user("grace")
    meeting = await meeting_of(host)
    path = f"/api/v1/meetings/{meeting}/stream-keys"
    assert (await guest.refused("POST", path, {"name": "x", "role": "publish"}))[0] == 403
    for _ in range(50):
        await key_of(host, meeting)
    assert await host.refused("POST", path, {"name": "x", "role": "publish"}) == (409, "too_many_keys")


async def _execute(dsn: str, statement: str, *values: Any) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement, *values)
    await connection.close()


async def _age(dsn: str) -> None:
    """Let the places that were given away be free again, if nobody took them."""
    await _execute(dsn, "UPDATE meeting_participants SET key_used_at = now() - interval '10 minutes'")
