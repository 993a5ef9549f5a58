"""When the driver looks at its sockets: at once for a lone datagram, once in a while for many."""

import asyncio
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest

from sfu.engine.contract import Leftover, Result
from sfu.engine.pump import Pump
from sfu.engine.python import PythonEngine
from sfu.engine.sockets import Sockets
from sfu.rooms.node import Node
from sfu.rooms.outbox import Outbox
from sfu.server.driver import Driver


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
    async with asyncio.timeout(30):
        while len(node.leftovers) < count:
            await asyncio.sleep(0.005)


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
