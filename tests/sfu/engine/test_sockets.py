"""Real sockets on loopback: times, runs, and errors that only affect their destination."""

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from sfu.engine.contract import Datagram, Drop, Outgoing
from sfu.engine.sockets import Sockets


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    entry = Sockets(["127.0.0.1"], 0)
    yield entry
    entry.close()


@pytest.fixture
def far() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        entry.bind(("127.0.0.1", 0))
        entry.settimeout(30)
        yield entry


def received(sockets: Sockets, count: int, local: int = 0) -> list[Datagram]:
    """Wait until so many have come."""
    datagrams: list[Datagram] = []
    with selectors.DefaultSelector() as selector:
        selector.register(sockets.filenos()[local], selectors.EVENT_READ)
        while len(datagrams) < count:
            assert selector.select(5)
            datagrams += sockets.receive(local, 100)
    return datagrams


def test_receives_with_source_and_time(sockets: Sockets, far: socket.socket) -> None:
    before = time.monotonic_ns()
    far.sendto(b"first", sockets.addresses[0])
    far.sendto(b"second", sockets.addresses[0])
    datagrams = received(sockets, 2)
    after = time.monotonic_ns()
    assert [(entry.data, entry.source, entry.local) for entry in datagrams] == [
        (b"first", far.getsockname(), 0),
        (b"second", far.getsockname(), 0),
    ]
    # The kernel's clock is read to a microsecond or so.
    assert before - 1_000_000 <= datagrams[0].arrival <= datagrams[1].arrival <= after + 1_000_000
    assert sockets.receive(0, 10) == []


def test_sends_runs(sockets: Sockets, far: socket.socket) -> None:
    sizes = [100, 100, 100, 60, 100, 100, 120, 120, 5]
    contents = [bytes([index]) * size for index, size in enumerate(sizes)]
    sockets.send([Outgoing(data, far.getsockname(), 0) for data in contents])
    assert [far.recv(2000) for _ in contents] == contents
    assert (sockets.datagrams_out, sockets.bytes_out) == (len(sizes), sum(sizes))
    assert sockets.drops == {}


def test_long_runs_are_split(sockets: Sockets, far: socket.socket) -> None:
    contents = [index.to_bytes(2, "big") * 600 for index in range(200)]
    for start in range(0, 200, 100):
        sockets.send([Outgoing(data, far.getsockname(), 0) for data in contents[start : start + 100]])
        assert [far.recv(2000) for _ in range(100)] == contents[start : start + 100]


def test_one_bad_address_harms_nobody_else(sockets: Sockets) -> None:
    """One unroutable subscriber among 100."""
    receivers = []
    for _ in range(99):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        receivers.append(receiver)
    # A broadcast address without leave to broadcast: the kernel refuses it.
    destinations = [receiver.getsockname() for receiver in receivers]
    destinations.insert(50, ("255.255.255.255", 9))
    outgoing = [Outgoing(bytes([part]) * 200, destination, 0) for destination in destinations for part in range(4)]
    sockets.send(outgoing)
    for receiver in receivers:
        assert [receiver.recv(2000)[0] for _ in range(4)] == [0, 1, 2, 3]
        receiver.close()
    assert sockets.drops == {Drop.SEND_ERROR: 4}
    assert sockets.datagrams_out == 99 * 4


def test_oversized_datagrams_are_counted(sockets: Sockets, far: socket.socket) -> None:
    sockets.send([Outgoing(bytes(70_000), far.getsockname(), 0), Outgoing(b"fits", far.getsockname(), 0)])
    assert far.recv(100) == b"fits"
    assert sockets.drops == {Drop.SEND_ERROR: 1}


def test_two_addresses_share_a_port() -> None:
    sockets = Sockets(["127.0.0.1", "::1"], 0)
    try:
        assert sockets.addresses[0][1] == sockets.addresses[1][1] == sockets.port
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far:
            far.bind(("::1", 0))
            far.settimeout(30)
            far.sendto(b"six", sockets.addresses[1])
            (datagram,) = received(sockets, 1, local=1)
            assert (datagram.data, datagram.source, datagram.local) == (b"six", far.getsockname()[:2], 1)
            sockets.send([Outgoing(b"back", datagram.source, 1)] * 3)
            assert [far.recv(10) for _ in range(3)] == [b"back"] * 3
    finally:
        sockets.close()


def test_a_port_in_use_is_an_error(sockets: Sockets) -> None:
    with pytest.raises(OSError) as caught:
        Sockets(["127.0.0.1"], sockets.port)
    assert caught.value.errno == errno.EADDRINUSE


def test_sockets_of_their_own(sockets: Sockets, far: socket.socket) -> None:
    local, port = sockets.open(0)
    assert local == 1
    assert port != sockets.port
    far.sendto(b"hello", ("127.0.0.1", port))
    (datagram,) = received(sockets, 1, local)
    assert (datagram.data, datagram.local) == (b"hello", 1)
    sockets.send([Outgoing(b"back", far.getsockname(), local)])
    assert far.recvfrom(100) == (b"back", ("127.0.0.1", port))
    sockets.shut(local)
    assert sockets.filenos()[1] == -1
    assert sockets.receive(local, 10) == []
    sockets.send([Outgoing(b"gone", far.getsockname(), local)])
    assert sockets.drops == {Drop.NO_ADDRESS: 1}
    assert sockets.open(0)[0] == 1
    with pytest.raises(ValueError):
        sockets.shut(0)
    with pytest.raises(OSError):
        sockets.open(0, sockets.port)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_counts_ecn_marks(address: str) -> None:
    sockets = Sockets([address], 0)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if ":" in address else (socket.IPPROTO_IP, socket.IP_TOS)
    with contextlib.closing(sockets), socket.socket(family, socket.SOCK_DGRAM) as sender:
        for traffic_class in (0, 1, 0b1011_1011, 3):
            sender.setsockopt(*option, traffic_class)
            sender.sendto(b"marked", sockets.addresses[0])
        received(sockets, 4)
    assert sockets.marks == [1, 1, 0, 2]
