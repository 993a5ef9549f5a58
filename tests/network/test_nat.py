"""The NAT routers of the tests: one mapping per destination, open only to those who were written to."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import Host, in_namespace, network
from tests.support.nat import behind, forget

FORWARDED = 7000


def bound(namespace: str, address: str, port: int = 0) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        made.settimeout(30)
        return made

    return in_namespace(namespace, make)


@pytest.fixture
def ends() -> Iterator[tuple[Host, list[socket.socket]]]:
    """A router, and sockets: one behind it, on the port that is forwarded, and three in front of it."""
    with network(1) as net, contextlib.ExitStack() as stack:
        router = net.hosts[0]
        inside = stack.enter_context(behind(router, (FORWARDED,)))
        sockets = [bound(inside.name, inside.address, FORWARDED)]
        sockets += [bound(net.server, router.server_address) for _ in range(3)]
        yield router, [stack.enter_context(one) for one in sockets]


def source(inside: socket.socket, outside: socket.socket) -> tuple[str, int]:
    """Return the address from which the other receives what the one sends."""
    inside.sendto(b"out", outside.getsockname())
    address: tuple[str, int] = outside.recvfrom(100)[1]
    return address


def test_each_destination_sees_another_port_and_only_it_may_answer(ends: tuple[Host, list[socket.socket]]) -> None:
    router, (inside, first, second, stranger) = ends
    seen = source(inside, first)
    assert seen[0] == router.address
    assert source(inside, first) == seen
    assert source(inside, second) != seen
    stranger.sendto(b"unasked", seen)
    first.sendto(b"asked", seen)
    assert inside.recvfrom(100) == (b"asked", first.getsockname())


def test_no_address_comes_later_behind_a_router() -> None:
    with network(1) as net, behind(net.hosts[0]) as inside:
        rows = in_namespace(inside.name, lambda: Path("/proc/thread-self/net/if_inet6").read_text().splitlines())
        assert [row.split()[-1] for row in rows] == ["lo"]


def test_what_is_forwarded_comes_from_anybody(ends: tuple[Host, list[socket.socket]]) -> None:
    router, (inside, _, _, stranger) = ends
    stranger.sendto(b"closed", (router.address, FORWARDED + 1))
    stranger.sendto(b"open", (router.address, FORWARDED))
    assert inside.recvfrom(100) == (b"open", stranger.getsockname())
    inside.sendto(b"answer", stranger.getsockname())
    assert stranger.recvfrom(100) == (b"answer", (router.address, FORWARDED))


def test_a_router_that_forgot_gives_another_port(ends: tuple[Host, list[socket.socket]]) -> None:
    router, (inside, first, _, _) = ends
    before = source(inside, first)
    forget(router)
    assert source(inside, first) != before
