"""When the driver looks at its sockets: at once for a lone datagram, once in a while for many."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import cast

import pytest

from sfu.engine.contract import Leftover, PeerEntry, Result
from sfu.engine.pump import Pump
from sfu.engine.python import PythonEngine
from sfu.engine.sockets import Sockets
from sfu.peers.outbox import Outbox
from sfu.rooms.node import Node
from sfu.server.driver import Driver
from tests.support.waiting import eventually


class Listener:
    """Stands for the node: keeps what was read, and counts how often."""

    def __init__(self) -> None:
        self.context = SimpleNamespace(outbox=Outbox(), unix_offset=0)
        self.reads = 0
        self.leftovers: list[Leftover] = []

    def receive(self, result: Result, now: int) -> None:
        self.reads += bool(result.leftovers)
        self.leftovers += result.leftovers

    def timer(self) -> int | None:
        return None


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    made = Sockets(["127.0.0.1"], 0)
    yield made
    made.close()


async def until(node: Listener, count: int) -> None:
    await eventually(lambda: len(node.leftovers) >= count)


async def test_many_datagrams_are_read_together_and_none_is_left(sockets: Sockets) -> None:
    node = Listener()
    driver = Driver(cast(Node, node), Pump(PythonEngine(), sockets), sockets)
    driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        for number in range(200):
            sender.send(b"\x00" + number.to_bytes(2, "big"))
            await asyncio.sleep(0)
        await until(node, 200)
        assert node.reads < 100
        await asyncio.sleep(0.05)
        sender.send(b"\x00lone")
        await until(node, 201)
    assert node.leftovers[-1].data == b"\x00lone"
    driver.stop()


class HandLoop:
    """A loop whose reader is called by hand; keeps for how long who would be called."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.delays: list[float] = []

    def add_reader(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.readers[descriptor] = callback

    def remove_reader(self, descriptor: int) -> None:
        self.readers.pop(descriptor, None)

    def call_later(self, delay: float, callback: Callable[[], None]) -> SimpleNamespace:
        self.delays.append(delay)
        return SimpleNamespace(cancel=lambda: None)


@pytest.mark.parametrize(("first", "milliseconds"), [(b"\x00", 10), (b"\x16", 4)])
async def test_checks_wait_for_the_next_look_and_handshakes_for_a_shorter_while(
    sockets: Sockets, first: bytes, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = HandLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    engine = PythonEngine()
    engine.set_peer(PeerEntry(1))
    node = Listener()
    driver = Driver(cast(Node, node), Pump(engine, sockets), sockets)
    driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)
        while not loop.delays:  # a busy machine may let too much time pass between two of them
            sender.send(first + bytes(20))
            (callback,) = loop.readers.values()
            before = time.monotonic_ns()
            callback()
            after = time.monotonic_ns()
    assert loop.readers == {}
    (delay,) = loop.delays
    if milliseconds == 4:
        assert delay == 0.004
    else:  # up to the next multiple of 10 ms, along with timers
        grid = 10_000_000
        assert before // grid <= (after + round(delay * 1e9)) // grid - 1 <= after // grid
        assert 0 < delay <= 0.010
