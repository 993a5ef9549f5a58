"""Signaling, WHIP and WHEP through control to the node of their room."""

import asyncio

import aiohttp
import pytest

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
    assert await asyncio.wait_for(node.closed_with, 3) == 1001


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
    assert caught.value.status == 403


async def test_whip_goes_to_the_node_and_its_location_becomes_ours(people: People, node: Node) -> None:
    host, answer = await joined(people)
    headers = {"Authorization": f"Bearer {answer['token']}", "Content-Type": "application/sdp"}
    async with host.session.post(f"{host.server.url}/whip", data=b"v=0 offer", headers=headers) as response:
        assert response.status == 201
        assert response.headers["Location"] == "/whip/resource-1"
        assert response.headers["ETag"] == '"x"'
        assert await response.read() == b"v=0\r\n"
    async with host.session.delete(f"{host.server.url}/whip/resource-1?x=1", headers=headers) as response:
        assert response.status == 201
    assert node.requests == [("POST", "/whip", b"v=0 offer"), ("DELETE", "/whip/resource-1?x=1", b"")]


async def test_whip_needs_a_token_that_names_a_room_and_a_small_body(people: People, node: Node) -> None:
    host, answer = await joined(people)
    url = f"{host.server.url}/whip"
    async with host.session.post(url, data=b"v=0") as response:
        assert response.status == 404
    async with host.session.post(url, data=b"v=0", headers={"Authorization": "Bearer a.b.c"}) as response:
        assert response.status == 404
    big = {"Authorization": f"Bearer {answer['token']}"}
    async with host.session.post(url, data=b"x" * 300_000, headers=big) as response:
        assert response.status == 413
    async with host.session.options(url) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
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
    async with host.session.get(url, headers={**secret, "X-Original-URI": "/ws/signaling?meeting=x"}) as response:
        assert response.status == 404
