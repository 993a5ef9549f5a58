"""The link to control: keys, facts over its restarts, the sink socket's leftovers."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from sfu.api import signaling
from sfu.api.facts import RoomClosed, RoomOpened
from sfu.server.control_client import ControlClient, ControlUnavailable
from sfu.server.facts_reporter import MAX_WAITING, FactsReporter
from sfu.server.sink_server import SinkServer
from tests.sfu.server.harness import Control, client, eventually, host


async def test_facts_wait_for_control_and_come_once_and_in_order(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.refuse_facts = True
        async with client(h, h.control.token("r", "ann")) as ann:
            await ann.until(signaling.RoomInfo)
            await ann.send(signaling.Leave())
            await ann.closed()
        await eventually(lambda: not h.node.rooms)
        assert not h.control.facts
        assert (await h.metrics())["parley_sfu_facts_waiting"] == 4
        h.control.refuse_facts = False
        await eventually(lambda: len(h.control.facts) == 4)
        assert h.control.kinds() == ["RoomOpened", "ParticipantJoined", "ParticipantLeft", "RoomClosed"]
        assert h.control.batches == sorted(h.control.batches)


class Unreachable(ControlClient):
    """A control whose answers are scripted."""

    def __init__(self, answers: list[int | None]) -> None:
        super().__init__("http://127.0.0.1:9", "s")
        self.batches: list[tuple[int, int]] = []
        self._answers = answers

    async def report(self, batch):  # type: ignore[no-untyped-def]
        self.batches.append((batch.n, len(batch.facts)))
        answer = self._answers.pop(0)
        if answer is None:
            raise ControlUnavailable("scripted")
        return answer


async def test_a_batch_is_repeated_under_its_number_until_acknowledged() -> None:
    control = Unreachable([None, 0, 1, 2])
    reporter = FactsReporter(control, "n")
    reporter.put([RoomOpened(room="r", at=1)])
    for _ in range(2):
        with pytest.raises(ControlUnavailable):
            await reporter.deliver_one()
    reporter.put([RoomClosed(room="r", at=2)])
    await reporter.deliver_one()
    await reporter.deliver_one()
    assert control.batches == [(1, 1), (1, 1), (1, 1), (2, 1)]
    assert reporter.waiting == 0
    await control.close()


async def test_facts_are_bounded_and_losses_counted() -> None:
    control = Unreachable([])
    reporter = FactsReporter(control, "n")
    reporter.put(RoomOpened(room="r", at=number) for number in range(MAX_WAITING + 7))
    assert (reporter.waiting, reporter.lost) == (MAX_WAITING, 7)
    await control.close()


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
                async with asyncio.timeout(5):
                    assert await asyncio.get_running_loop().sock_recv(sink, 100) == b""
        assert not h.node.sinks.attached
