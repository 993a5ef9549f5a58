"""The emulated network under real sockets behaves as configured."""

import select
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.link_model import LinkSettings
from tests.support.namespaces import in_namespace
from tests.support.tun_forwarder import EmulatedHost, emulated_host

MS = 1_000_000


@pytest.fixture
def host() -> Iterator[EmulatedHost]:
    with emulated_host(LinkSettings(delay=40 * MS), LinkSettings(delay=20 * MS), 1) as emulated:
        yield emulated


Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair(host: EmulatedHost) -> Iterator[Pair]:
    """A socket here and one behind the link, connected to each other."""
    here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there = in_namespace(host.name, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    here.bind((host.server_address, 0))
    there.bind((host.address, 0))
    here.connect(there.getsockname())
    there.connect(here.getsockname())
    with here, there:
        yield here, there


def receive(sock: socket.socket, seconds: float) -> list[tuple[float, bytes]]:
    """Everything that comes, until nothing has come for `seconds`."""
    received = []
    while select.select([sock], [], [], seconds)[0]:
        received.append((time.monotonic(), sock.recv(2048)))
    return received


def test_each_direction_takes_its_delay(pair: Pair) -> None:
    here, there = pair
    for sender, receiver, delay in ((here, there, 0.04), (there, here, 0.02)):
        begun = time.monotonic()
        sender.send(b"x")
        ((at, _),) = receive(receiver, 0.3)
        assert delay <= at - begun < delay + 0.1


def test_the_rate_holds_and_what_overflows_the_queue_is_lost(host: EmulatedHost, pair: Pair) -> None:
    here, there = pair
    host.change(down=LinkSettings(rate=1_000_000, delay=10 * MS))
    time.sleep(0.1)  # the forwarder takes it
    for number in range(100):
        here.send(bytes([number]) + bytes(971))  # 1000 bytes with IP and UDP: 8 ms each
    received = receive(there, 0.5)
    assert 36 <= len(received) <= 40
    span = received[-1][0] - received[0][0]
    assert 0.26 < span < 0.4


def test_losses_are_as_set(host: EmulatedHost, pair: Pair) -> None:
    here, there = pair
    host.change(down=LinkSettings(loss=0.3))
    time.sleep(0.1)  # the forwarder takes it
    arrived = 0
    for _ in range(20):
        for _ in range(50):
            here.send(b"x")
        arrived += len(receive(there, 0.1))
    assert 620 < arrived < 780
