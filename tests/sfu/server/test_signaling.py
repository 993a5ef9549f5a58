"""Signaling without media: joins, notifications, refusals."""

import time
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control.nodes.node_socket import NodeSocket
from sfu.api import signaling
from sfu.api.join_token import Grants
from tests.sfu.server.harness import client, host
from tests.support.waiting import eventually


async def test_a_proxy_learns_which_process_it_is_connected_to(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        aiohttp.ClientSession(ws_response_class=NodeSocket) as session,
        session.ws_connect(h.signaling_url) as socket,
    ):
        assert isinstance(socket, NodeSocket)
        assert socket.boot == h.server.presence.boot


async def test_two_join_and_see_each_other(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        info = await ann.until(signaling.RoomInfo)
        assert [p.participant for p in info.participants] == ["ann"]
        offer = await ann.until(signaling.Offer)
        assert offer.peer == "subscribe"
        assert offer.sdp.count("m=audio") == 6
        async with client(h, h.control.token("r", "bob")) as bob:
            assert len((await bob.until(signaling.RoomInfo)).participants) == 2
            joined = await ann.until(signaling.ParticipantJoined)
            assert joined.participant.name == "Bob"
            await bob.send(signaling.Chat(text="hello"))
            assert (await ann.until(signaling.Chat)).participant == "bob"
            await bob.send(signaling.Leave())
            assert (await ann.until(signaling.ParticipantLeft)).reason == "left"
            assert await bob.closed() == 1000
        await ann.send(signaling.Leave())
        await ann.closed()
        await eventually(lambda: "RoomClosed" in h.control.kinds())
        assert h.control.kinds() == [
            "RoomOpened",
            "ParticipantJoined",
            "ParticipantJoined",
            "ChatSent",
            "ParticipantLeft",
            "ParticipantLeft",
            "RoomClosed",
        ]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("expired_token", {"iat": 0, "exp": 60}),
        ("foreign_token", {"aud": "something-else"}),
        ("foreign_token", {"kid": "unknown"}),
        ("bad_token", {"key": Ed25519PrivateKey.generate()}),
        ("bad_token", {"exp": int(time.time()) + 3600}),
    ],
)
async def test_tokens_that_do_not_admit(tmp_path: Path, code: str, changes: dict[str, object]) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann", **changes)) as ann:
        error = await ann.until(signaling.Error)
        assert (error.code, error.fatal) == (code, True)
        assert await ann.closed() == 1008
        assert (await h.metrics())[f'parley_sfu_signaling_refused_total{{reason="{code}"}}'] == 1
        assert not h.node.rooms


async def test_a_token_admits_once(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        token = h.control.token("r", "ann")
        async with client(h, token) as first, client(h, token) as second:
            assert (await second.until(signaling.Error)).code == "replayed_token"
            await first.until(signaling.RoomInfo)
            assert (await h.metrics())["parley_sfu_participants"] == 1


async def test_malformed_and_unknown_messages_are_answered(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        for text in ("{", '{"kind":"dance"}', '{"kind":"chat"}', '{"kind":"unpublish","track":"nope"}'):
            await ann.connection.send(text)
        await ann.until(signaling.Error, lambda m: m.code == "unknown_track")
        assert [m.code for m in ann.received if isinstance(m, signaling.Error)].count("bad_message") == 3
        await ann.send(signaling.Ping(id=7))
        assert (await ann.until(signaling.Pong)).id == 7


async def test_an_oversized_message_ends_the_session_only(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann,
        client(h, h.control.token("r", "bob")) as bob,
    ):
        await ann.until(signaling.RoomInfo)
        await bob.until(signaling.RoomInfo)
        await ann.connection.send("x" * (signaling.MAX_MESSAGE_BYTES + 1))
        assert await ann.closed() == 1009
        updated = await bob.until(signaling.ParticipantUpdated)
        assert updated.participant.connected is False
        assert (await h.metrics())['parley_sfu_signaling_refused_total{reason="message_too_large"}'] == 1
        await bob.send(signaling.Ping(id=1))
        await bob.until(signaling.Pong)


async def test_unsupported_version(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann"), v=99) as ann:
        assert (await ann.until(signaling.Error)).code == "unsupported_version"


async def test_a_flood_is_cut_off(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        for number in range(1000):
            await ann.send(signaling.Ping(id=number))
        assert (await ann.until(signaling.Error)).code == "too_many_requests"
        assert await ann.closed() == 1008


async def test_chat_needs_its_grant(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann", grants=Grants(chat=False))) as ann:
        await ann.until(signaling.RoomInfo)
        await ann.send(signaling.Chat(text="hello"))
        assert (await ann.until(signaling.Error)).code == "not_permitted"
