"""The link to control: keys, facts over its restarts, leftovers of the sink socket."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from sfu.api import signaling
from sfu.server.sink_server import SinkServer
from tests.sfu.server.harness import Control, client, host
from tests.support.waiting import eventually


async def test_facts_wait_for_control_and_come_once_and_in_order(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.facts_status = 503
        async with client(h, h.control.token("r", "ann")) as ann:
            await ann.until(signaling.RoomInfo)
            await ann.send(signaling.Leave())
            await ann.closed()
        await eventually(lambda: not h.node.rooms)
        assert not h.control.facts
        assert (await h.metrics())["parley_sfu_facts_waiting"] == 4
        h.control.facts_status = None
        await eventually(lambda: len(h.control.facts) == 4)
        assert h.control.kinds() == ["RoomOpened", "ParticipantJoined", "ParticipantLeft", "RoomClosed"]
        assert h.control.batches == sorted(h.control.batches)


async def test_a_batch_that_control_refuses_is_given_up_and_counted(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.facts_status = 422
        async with client(h, h.control.token("r", "ann")) as ann:
            await ann.until(signaling.RoomInfo)
            await ann.send(signaling.Leave())
            await ann.closed()
        await eventually(lambda: not h.node.rooms)
        async with asyncio.timeout(30):
            while (await h.metrics()).get('parley_sfu_facts_total{outcome="refused"}', 0) < 4:
                await asyncio.sleep(0.05)
        h.control.facts_status = None
        async with client(h, h.control.token("r", "bob")) as bob:
            await bob.until(signaling.RoomInfo)
        await eventually(lambda: "ParticipantJoined" in h.control.kinds())


async def test_keys_are_pulled_at_the_start_and_for_new_ones_once_a_second(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        await eventually(lambda: h.control.keys_served == 1)
        other = Control()
        begun = asyncio.get_running_loop().time()
        for number in range(3):
            token = h.control.token("r", "ann", kid=f"unknown-{number}", key=other.key)
            async with client(h, token) as ann:
                assert (await ann.until(signaling.Error)).code == "foreign_token"
        assert h.control.keys_served <= 2 + asyncio.get_running_loop().time() - begun
        h.control.key, h.control.kid = other.key, other.kid
        async with client(h, h.control.token("r", "ann")) as ann:
            await ann.until(signaling.RoomInfo)


async def test_rooms_are_listed(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        headers = {"Authorization": "Bearer node-secret-of-the-test"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{h.http}/node/v1/rooms") as answer:
            (room,) = (await answer.json())["rooms"]
        assert (room["room"], room["participants"][0]["participant"]) == ("r", "ann")


async def test_a_stale_sink_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "sinks.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left_behind:
        left_behind.bind(str(path))
    async with host(tmp_path) as h:
        assert path.stat().st_mode & 0o777 == 0o600
        second = SinkServer(h.server.driver)
        with pytest.raises(FileExistsError, match="another process"):
            second.start(path)
    assert not path.exists()


async def test_a_sink_that_does_not_introduce_itself_is_dropped(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        for first in (b"\xffgarbage", b"\x04{}", b'\x04{"kind":"keyframe","handle":1}', b"\x04" + b"x" * 60000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sink:
                sink.setblocking(False)
                sink.connect(str(h.sink_socket))
                sink.send(first)
                async with asyncio.timeout(30):
                    assert await asyncio.get_running_loop().sock_recv(sink, 100) == b""
        assert not h.node.sinks.attached
