"""A shared UDP port: the kernel gives each datagram to the worker of its source or its ICE check."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack

import pytest
import pytest_asyncio

from sfu.machines import port_steering
from sfu.machines.ice.lite import FiveTuple
from sfu.peers.shared_port import PathNews
from sfu.server.port_group import PortGroup
from sfu.server.port_messages import RESET, encode_news
from tests.support.waiting import eventually

WORKERS = 5
Reached = dict[bytes, int]


@pytest_asyncio.fixture(params=["127.0.0.1", "::1"])
async def group(request: pytest.FixtureRequest) -> AsyncIterator[PortGroup]:
    made = PortGroup([request.param], 0, WORKERS)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    made.close()


@pytest.fixture
def clients(group: PortGroup) -> Iterable[list[socket.socket]]:
    with ExitStack() as stack:
        host, family = group.addresses[0], socket.AF_INET6 if ":" in group.addresses[0] else socket.AF_INET
        made = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(200)]
        for client in made:
            client.bind((host, 0))
            client.connect((host, group.port))
        yield made


def reached(group: PortGroup) -> Reached:
    """Return which worker each datagram that has come reached."""
    found = {}
    for worker in range(WORKERS):
        with socket.socket(fileno=socket.dup(group.share(worker).sockets[0])) as entry:
            while True:
                try:
                    found[entry.recv(2048)] = worker
                except BlockingIOError:
                    break
    return found


def tell(group: PortGroup, worker: int, lines: bytes) -> None:
    with socket.socket(fileno=socket.dup(group.share(worker).control)) as control:
        control.sendall(lines)


def news(clients: Iterable[socket.socket], *, came: bool = True) -> bytes:
    return encode_news([PathNews(0, came, FiveTuple(one.getsockname()[:2], 0)) for one in clients])


async def test_media_reach_the_worker_whose_peer_sends_them(group: PortGroup, clients: list[socket.socket]) -> None:
    owners = {client: random.Random(number).randrange(WORKERS) for number, client in enumerate(clients)}
    for worker in range(WORKERS):
        tell(group, worker, RESET + news(client for client, owner in owners.items() if owner == worker))

    def all_right(wanted: dict[socket.socket, int]) -> bool:
        names = {client: b"\x80" + random.randbytes(16) for client in wanted}
        for client, name in names.items():
            client.send(name)
        found = reached(group)
        return all(found.get(name) == wanted[client] for client, name in names.items())

    await eventually(lambda: all_right(owners))
    for client in [one for one, owner in owners.items() if owner == 1][:10]:  # these go from one worker to another
        tell(group, 1, news([client], came=False))
        tell(group, 2, news([client]))
        owners[client] = 2
    await eventually(lambda: all_right(owners))
    tell(group, 3, b"[[0, tr\n" + RESET)  # killed in the middle of a line
    await eventually(lambda: 3 not in {path.worker for path in group.known()})


def check(ufrag: str, first: bytes) -> bytes:
    name = f"{ufrag}:theirs".encode()
    attributes = first + struct.pack(">HH", 0x0006, len(name)) + name + bytes(-len(name) % 4)
    return struct.pack(">HHI12s", 0x0001, len(attributes), 0x2112A442, random.randbytes(12)) + attributes


async def test_checks_reach_the_worker_that_their_user_name_names(
    group: PortGroup, clients: list[socket.socket]
) -> None:
    priority = struct.pack(">HHI", 0x0024, 4, 1)
    wanted = {}
    for number in range(len(clients)):
        worker = number % WORKERS
        data = check(port_steering.mark(worker) + "0a1b2c3d", priority * (number % 3))
        wanted[data] = worker
    await eventually(lambda: group.programs)
    for client, data in zip(clients, wanted, strict=True):
        client.send(data)
    assert reached(group) == wanted


def test_marks_tell_workers() -> None:
    assert [port_steering.worker_of(port_steering.mark(worker) + "x") for worker in range(52)] == list(range(52))
    assert port_steering.worker_of("") == port_steering.worker_of("0abc") == -1


def test_a_program_keeps_to_its_limit_and_leaves_out_the_newest() -> None:
    keys = random.Random(3)
    owners = [(keys.getrandbits(32), number % 7) for number in range(10_000)]
    made = port_steering.program(socket.AF_INET, owners)
    assert 3900 * port_steering.INSTRUCTION_BYTES < len(made) <= 4096 * port_steering.INSTRUCTION_BYTES
    assert port_steering.program(socket.AF_INET, owners[:1500]) != port_steering.program(socket.AF_INET, owners[:1600])
