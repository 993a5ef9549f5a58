"""Timing of the driver's reads: at once for a lone datagram, periodically for many, whatever else is running."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import ClassVar, cast

import pytest

from sfu.engine.contract import Leftover, Payload, PeerEntry, Result, StreamEntry
from sfu.engine.pump import Pump
from sfu.engine.python import PythonEngine
from sfu.engine.sockets import Sockets
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, serialize
from sfu.peers.outbox import Outbox
from sfu.rooms.node import Node
from sfu.server.driver import Driver
from tests.support.waiting import eventually


class Listener:
    """Stands for the node: keeps what was read, and counts how often."""

    def __init__(self) -> None:
        self.context = SimpleNamespace(outbox=Outbox(), unix_offset=0, counters=Counter())
        self.reads = 0
        self.leftovers: list[Leftover] = []

    def put(self, result: Result, now: int) -> None:
        self.reads += bool(result.leftovers)
        self.leftovers += result.leftovers

    @property
    def has_work(self) -> bool:
        return False

    def work(self, now: int) -> bool:
        return False

    is_rationing = False

    def behind(self, now: int) -> int:
        return 0

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
        await asyncio.sleep(0.05)  # the socket has been idle
        sender.send(b"\x00lone")
        await until(node, 201)
    assert node.leftovers[-1].data == b"\x00lone"
    driver.stop()


class Swamped(Listener):
    """A node whose work after reading never ends."""

    has_work = True

    def work(self, now: int) -> bool:
        return True


async def test_the_sockets_are_read_however_much_there_is_to_do(sockets: Sockets) -> None:
    node = Swamped()
    driver = Driver(cast(Node, node), Pump(PythonEngine(), sockets), sockets)
    driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        for number in range(20):
            sender.send(b"\x00" + bytes([number]))
            await until(node, number + 1)
    driver.stop()


async def test_media_pass_between_two_steps_of_something_else(sockets: Sockets) -> None:
    """Two messages of clients that the loop handles in a row, each of which takes long."""
    node = Listener()
    engine = PythonEngine()
    engine.set_peer(PeerEntry(1))
    engine.set_unprotected(1)
    engine.add_stream(StreamEntry(1, 1, 7, {96: Payload(Codec.VP8, 90_000)}))
    pump = Pump(engine, sockets)
    driver = Driver(cast(Node, node), pump, sockets)
    driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)
        sender.send(serialize(RtpPacket(96, 1, 0, 7, b"media")))
        await eventually(lambda: pump.packets_in == 1)
        begun = driver._media_at
        sender.send(serialize(RtpPacket(96, 2, 0, 7, b"media")))  # of which the engine tells nothing
        await eventually(lambda: driver._media_at > begun)
        for number in range(5):
            sender.send(b"\x00" + bytes([number]))
            ended = time.monotonic() + 0.01  # what such a message takes
            while time.monotonic() < ended:
                pass
            driver.flush()
            assert len(node.leftovers) == number + 1
    driver.stop()


class HandTimer:
    """Keeps for how long it is set."""

    delays: ClassVar[list[int]] = []

    def __init__(self, loop: object, callback: Callable[[], None]) -> None:
        pass

    def set(self, delay: int) -> None:
        self.delays.append(delay)

    def close(self) -> None:
        pass


class HandLoop:
    """A loop whose reader is called by hand."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}

    def add_reader(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.readers[descriptor] = callback

    def remove_reader(self, descriptor: int) -> None:
        self.readers.pop(descriptor, None)


@pytest.mark.parametrize(("first", "milliseconds"), [(b"\x00", 10), (b"\x16", 4)])
async def test_checks_wait_for_the_next_look_and_handshakes_for_a_shorter_while(
    sockets: Sockets, first: bytes, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = HandLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    monkeypatch.setattr("sfu.server.driver.PreciseTimer", HandTimer)
    HandTimer.delays.clear()
    engine = PythonEngine()
    engine.set_peer(PeerEntry(1))
    node = Listener()
    driver = Driver(cast(Node, node), Pump(engine, sockets), sockets)
    driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)
        while not HandTimer.delays:  # a busy machine may let too much time pass between two of them
            sender.send(first + bytes(20))
            (callback,) = loop.readers.values()
            before = time.monotonic_ns()
            callback()
            after = time.monotonic_ns()
    assert loop.readers == {}
    (delay,) = HandTimer.delays
    if milliseconds == 4:
        assert delay == 4_000_000
    else:  # up to the next multiple of 10 ms, along with timers
        grid = 10_000_000
        assert before // grid <= (after + delay) // grid - 1 <= after // grid
        assert 0 < delay <= grid
