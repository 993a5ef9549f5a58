"""Servers for many meetings, ours and LiveKit's, on separate cores, with the client on the others."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from bench.cores import pinned
from bench.light.crowd import TILES, Crowd, Make, Person, Shape
from bench.light.library import LightClient
from bench.light.livekit import LiveKitParticipant
from bench.light.meeting import MeetingParticipant
from bench.livekit_process import running_livekit
from bench.neighbour import neighbour
from bench.sfu_process import Process, SeveralProcesses, SfuProcess, running_sfu
from sfu.server.port_group import PortGroup


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test; `person` creates a participant of a room, with tiles and the loss of their link."""

    process: Process
    person: Callable[[LightClient, str, float], Person]


@contextmanager
def parley(cores: Sequence[int], *, rests: bool, own_ports: bool = False) -> Iterator[Server]:
    """Our server: as many workers as cores, on one UDP port unless `own_ports`; rooms are assigned in turn."""
    with ExitStack() as stack:
        workers: list[SfuProcess] = []
        port = stack.enter_context(_shared_port(len(cores))) if len(cores) > 1 and not own_ports else None
        for number, core in enumerate(cores):
            with pinned([core]):
                share = port.share(number) if port is not None else None
                workers.append(stack.enter_context(running_sfu(share)))
        placed: dict[str, SfuProcess] = {}

        def person(client: LightClient, room: str, loss: float) -> Person:
            sfu = placed.setdefault(room, workers[len(placed) % len(workers)])
            return MeetingParticipant(client, sfu, room, tiles=TILES, loss=loss, rests=rests)

        home, *further = workers
        yield Server(SeveralProcesses(home.pid, tuple(workers)) if further else home, person)


@contextmanager
def _shared_port(workers: int) -> Iterator[PortGroup]:
    port = PortGroup(["127.0.0.1"], 0, workers)
    steering = asyncio.ensure_future(port.run())
    try:
        yield port
    finally:
        steering.cancel()
        port.close()


@contextmanager
def livekit(cores: Sequence[int], *, rests: bool, own_ports: bool = False) -> Iterator[Server]:
    """LiveKit's server: one process, which uses all cores and one port; `rests` does not apply."""
    with ExitStack() as stack:
        with pinned(cores):
            server = stack.enter_context(running_livekit())

        def person(client: LightClient, room: str, loss: float) -> Person:
            return LiveKitParticipant(client, server, room, tiles=TILES, loss=loss)

        yield Server(server, person)


SERVERS: dict[str, Callable[..., AbstractContextManager[Server]]] = {"Parley": parley, "LiveKit": livekit}


@dataclass(frozen=True, slots=True)
class MeetingStage:
    """A new server with an active crowd, its memory before, and the CPU seconds for joining."""

    client: LightClient
    process: Process
    make: Make
    crowd: Crowd
    empty_bytes: int
    join_seconds: float


@asynccontextmanager
async def meeting_stage(
    name: str,
    shape: Shape,
    *,
    publishers: int = sys.maxsize,
    rests: bool = False,
    workers: int = 1,
    own_ports: bool = False,
    taken: float = 0.0,
) -> AsyncIterator[MeetingStage]:
    """Start a server of SERVERS on `workers` cores, of which another program uses the share `taken`, and let everybody
    join and publish.

    Inside the context people speak, join and leave. If no core is left for the client, it shares all of them.
    """
    cores = sorted(os.sched_getaffinity(0))
    its_own, others = cores[-workers:], cores[:-workers] or cores
    with (
        SERVERS[name](its_own, rests=rests, own_ports=own_ports) as server,
        pinned(others),
        neighbour(its_own, taken),
    ):
        client = LightClient()

        def make(room: str, loss: float) -> Person:
            return server.person(client, room, loss)

        crowd = Crowd(make, shape, publishers=publishers)
        empty, cpu = server.process.resident_bytes(), server.process.cpu_seconds()
        try:
            await crowd.enter()
            spent = server.process.cpu_seconds() - cpu
            crowd.begin()
            async with crowd.living():
                yield MeetingStage(client, server.process, make, crowd, empty, spent)
        finally:
            await crowd.leave()
            client.close()
