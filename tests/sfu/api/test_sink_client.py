"""A sink's end of the socket: bounded in both directions, reattached, never blocking its event loop."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfu.api.sink_client import MAX_UNSENT, SinkSocket, stay_attached
from sfu.api.sink_records import CaptionsAvailable, KeyframeWanted, decode
from tests.support.waiting import eventually


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.bind(str(tmp_path / "sinks.sock"))
        one.listen()
        yield one


@pytest.fixture
def dropped() -> Counter[str]:
    return Counter()


def counting(dropped: Counter[str]):
    return lambda reason: dropped.update([reason])


async def attach(listener: socket.socket, dropped: Counter[str]) -> tuple[SinkSocket, socket.socket]:
    sink = await SinkSocket.connect(Path(listener.getsockname()), counting(dropped))
    return sink, listener.accept()[0]


def received(sfu: socket.socket) -> list[object]:
    sfu.setblocking(False)
    records = []
    try:
        while data := sfu.recv(65_536):
            records.append(decode(data))
    except BlockingIOError:
        pass
    return records


async def test_an_sfu_that_reads_nothing_costs_expendable_records_first(
    listener: socket.socket, dropped: Counter[str]
) -> None:
    sink, sfu = await attach(listener, dropped)
    with sfu:
        while not sink._unsent:
            sink.send(KeyframeWanted(handle=0))
        kept = [CaptionsAvailable(available=True, reason=str(number)) for number in range(5)]
        for record in kept:
            sink.send(record)
        for _ in range(MAX_UNSENT + 10):
            sink.send(KeyframeWanted(handle=1), expendable=True)
        assert len(sink._unsent) == MAX_UNSENT
        assert dropped == {"full": 16}
        found: list[object] = []
        async with asyncio.timeout(30):
            while len(found) == 0 or sink._unsent:
                found += received(sfu)
                await asyncio.sleep(0)
            found += received(sfu)
        assert [one for one in found if isinstance(one, CaptionsAvailable)] == kept
        sink.close()


async def test_records_for_an_sfu_that_is_gone_are_counted(listener: socket.socket, dropped: Counter[str]) -> None:
    sink, sfu = await attach(listener, dropped)
    sfu.close()
    sink.send(KeyframeWanted(handle=1))
    assert dropped == {"closed": 1}
    assert await sink.receive() == []
    sink.close()


async def test_a_flood_of_records_leaves_turns_to_others(listener: socket.socket, dropped: Counter[str]) -> None:
    sink, sfu = await attach(listener, dropped)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    with sfu:
        for _ in range(50):
            sfu.send(b"record")
            await sink.receive()
    assert turns >= 50
    beside.cancel()
    sink.close()


async def test_a_sink_attaches_whenever_the_sfu_is_there(tmp_path: Path, dropped: Counter[str]) -> None:
    path, served = tmp_path / "sinks.sock", 0

    async def serve(sink: SinkSocket) -> None:
        nonlocal served
        served += 1
        while await sink.receive():
            pass

    attached = asyncio.create_task(stay_attached(path, serve, counting(dropped)))
    for number in (1, 2):  # there is none at first, and none between
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen()
            await eventually(lambda number=number: served == number)
        path.unlink()
    attached.cancel()
    await asyncio.gather(attached, return_exceptions=True)
