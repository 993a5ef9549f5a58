"""Signaling, WHIP and WHEP through control to the node of their room."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from control.proxy import signaling
from control.proxy.routing import node_for
from sfu.api import session_paths
from sfu.api.registration import NodeRecord
from sfu.api.signaling import MAX_MESSAGE_BYTES
from tests.control.harness import NODE_SECRET, Client, Node, People


async def joined(people: People) -> tuple[Client, dict[str, str]]:
    host = await people.user("ada")
    meeting = await host.ok("POST", "/api/v1/meetings", {})
    return host, await host.ok("POST", f"/api/v1/meetings/{meeting['id']}/join", {})


def socket_url(client: Client, path: str) -> str:
    return client.server.url.replace("http", "ws", 1) + path


async def test_messages_travel_both_ways_and_the_nodes_close_code_arrives(people: People) -> None:
    host, answer = await joined(people)
    async with host.session.ws_connect(socket_url(host, answer["signaling_url"])) as socket:
        assert await socket.receive_str() == '{"kind":"hello"}'
        await socket.send_str("x" * 1000)
        assert await socket.receive_str() == "x" * 1000
        await socket.send_str("bye")
        closing = await socket.receive()
        assert (closing.type, closing.data, closing.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "told so")


async def test_a_client_that_closes_takes_the_nodes_side_along(people: People, node: Node) -> None:
    host, answer = await joined(people)
    async with host.session.ws_connect(socket_url(host, answer["signaling_url"])) as socket:
        await socket.receive_str()
        await socket.close(code=4100)
    assert node.closed_with is not None
    assert await asyncio.wait_for(node.closed_with, 30) == 1001


async def test_a_node_that_is_away_is_logged_once_for_all_who_come_back(
    people: People, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, answer = await joined(people)
    url = socket_url(host, answer["signaling_url"])
    with monkeypatch.context() as patch:

        async def elsewhere(*arguments: Any, **named: Any) -> NodeRecord:
            return msgspec.structs.replace(await node_for(*arguments, **named), signaling_url="ws://127.0.0.1:1/")

        patch.setattr(signaling, "node_for", elsewhere)
        for _ in range(3):
            async with host.session.ws_connect(url) as socket:
                assert (await socket.receive()).data == 1013
    async with host.session.ws_connect(url) as socket:
        assert await socket.receive_str() == '{"kind":"hello"}'
    started, ended = (line for line in caplog.messages if "does not accept signaling" in line)
    assert started.startswith("node sfu-1 does not accept signaling: Cannot connect")
    assert ended == "node sfu-1 does not accept signaling: recovered after 0 s"


async def test_oversized_message_ends_the_session(people: People) -> None:
    host, answer = await joined(people)
    async with host.session.ws_connect(socket_url(host, answer["signaling_url"]), max_msg_size=0) as socket:
        await socket.receive_str()
        await socket.send_str("x" * (MAX_MESSAGE_BYTES + 1))
        closing = await socket.receive()
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1009)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_foreign_origins_are_refused(people: People, origin: str) -> None:
    host, answer = await joined(people)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await host.session.ws_connect(socket_url(host, answer["signaling_url"]), origin=origin)
    assert caught.value.status == 403


async def test_own_origin_is_accepted(people: People) -> None:
    host, answer = await joined(people)
    async with host.session.ws_connect(socket_url(host, answer["signaling_url"]), origin=host.server.url) as socket:
        assert await socket.receive_str()


@pytest.mark.parametrize("path", ["/ws/signaling?meeting=nobody-knows-this", "/ws/signaling", "/ws/other"])
async def test_unknown_meetings_and_paths_are_refused(people: People, path: str) -> None:
    host, _ = await joined(people)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await host.session.ws_connect(socket_url(host, path))
    assert caught.value.status == (404 if path == "/ws/other" else 403)


async def test_whip_goes_to_the_node_and_its_location_becomes_ours(people: People, node: Node) -> None:
    host, answer = await joined(people)
    headers = {"Authorization": f"Bearer {answer['token']}", "Content-Type": "application/sdp"}
    async with host.session.post(f"{host.server.url}/whip", data=b"v=0 offer", headers=headers) as response:
        assert response.status == 201
        assert response.headers["Location"] == "/whip/room-1/resource-1"
        assert response.headers["ETag"] == '"x"'
        assert await response.read() == b"v=0\r\n"
    async with host.session.delete(f"{host.server.url}/whip/room-1/resource-1?x=1", headers=headers) as response:
        assert response.status == 201
    assert node.requests == [("POST", "/whip", b"v=0 offer"), ("DELETE", "/whip/room-1/resource-1?x=1", b"")]


async def test_whip_needs_a_token_that_names_a_room_and_a_small_body(people: People, node: Node) -> None:
    host, answer = await joined(people)
    url = f"{host.server.url}/whip"
    for method, path in (("POST", ""), ("PATCH", "/room-1/resource-1"), ("DELETE", "/room-1/resource-1")):
        for token in ({}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Basic eDp5"}):
            async with host.session.request(method, url + path, data=b"v=0", headers=token) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert response.headers["Access-Control-Allow-Origin"] == "*"
    big = {"Authorization": f"Bearer {answer['token']}"}
    async with host.session.post(url, data=b"x" * 300_000, headers=big) as response:
        assert response.status == 413
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert node.requests == []


async def test_each_path_of_whip_and_whep_tells_what_it_takes(people: People, node: Node) -> None:
    base, session = people.nobody().server.url, people.nobody().session
    for path in ("/whip", "/whep/room", "/whip/room/session", "/whep/room/session/layer", "/whep/room/session/events"):
        allowed = session_paths.parse(path).allowed
        async with session.options(base + path) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Accept-Post" in response.headers
        for method in {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"} - set(allowed):
            async with session.request(method, base + path) as response:
                assert (response.status, response.headers["Allow"]) == (405, ", ".join(allowed)), (method, path)
                assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert node.requests == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/whep/{room}/events/..%2f..%2f..%2fmetrics",
        "/whep/{room}/session/events/..%2f..%2f..%2f..%2fmetrics",
        "/whep/{room}/session/events/../../../../metrics",
        "/whip/..%2fnode%2fv1%2frooms",
        "/whip/..%2Fmetrics",
        "/whip/../metrics",
        "/whip/..%5c..%5cmetrics",
        "/whip/..\\metrics",
        "/whip/%2e%2e/metrics",
        "/whip/room/session%00",
        "/whip/room/session/layer",
        "/whip/" + "x" * 200,
    ],
)
async def test_paths_that_are_none_of_whip_and_whep_reach_no_node(
    people: People, node: Node, method: str, path: str
) -> None:
    host, answer = await joined(people)
    address, _, port = host.server.addresses.http[0].rpartition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    target = path.format(room=answer["meeting"]["id"])
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {answer['token']}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    status = (await reader.read()).split(b" ", 2)[1]
    writer.close()
    assert status == b"404"
    assert node.requests == []


async def test_gateway_learns_the_nodes_address(people: People, node: Node) -> None:
    host, answer = await joined(people)
    url = f"{host.server.internal}/internal/v1/route"
    secret = {"Authorization": f"Bearer {NODE_SECRET}"}
    async with host.session.get(url, headers={**secret, "X-Original-URI": answer["signaling_url"]}) as response:
        assert response.status == 204
        assert f"ws://{response.headers['X-Parley-Node']}/" == node.signaling
    asked = {**secret, "X-Original-URI": "/whip", "X-Original-Authorization": f"Bearer {answer['token']}"}
    async with host.session.get(url, headers=asked) as response:
        assert f"http://{response.headers['X-Parley-Node']}" == node.url
    events = f"/whep/{answer['meeting']['id']}/session/events/key"
    async with host.session.get(url, headers={**secret, "X-Original-URI": events}) as response:
        assert f"http://{response.headers['X-Parley-Node']}" == node.url
    climbing = f"/whep/{answer['meeting']['id']}/session/events/..%2f..%2f..%2f..%2fmetrics"
    for uri in ("/ws/signaling?meeting=x", climbing, f"/whip/../node?meeting={answer['meeting']['id']}"):
        async with host.session.get(url, headers={**secret, "X-Original-URI": uri}) as response:
            assert response.status == 404
