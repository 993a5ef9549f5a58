"""Several sfu processes on one machine: each is a node with its own name, ports and sink socket.

Worker N of `sfu-1` is `sfu-1-N`. All share one UDP port (sfu.server.port_group), or, without `share_udp_port`, use
consecutive ones from `sfu_udp_port` on. Their TCP ports for media are consecutive too; signaling and HTTP ports are a
hundred apart. Ports that the system allocates are allocated for each worker. `parley sfu --workers N` supervises the
workers; `parley up` starts them itself, with an inference for each and one recorder for all.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from typing import NamedTuple

from foundation import logging_setup
from foundation.settings import Settings
from parley.child import Child, ChildFailed, Program
from parley.network import allocate_port, url_host
from parley.part_process import STOP_SECONDS, die_with_parent, notify_ready
from parley.part_secrets import SECRETS_OF
from sfu.api.registration import MOVING_SECONDS
from sfu.server import port_share
from sfu.server.addresses import local_addresses
from sfu.server.port_group import PortGroup
from sfu.server.port_share import PortShare

_PORTS = (
    ("sfu_signaling_port", 100, socket.SOCK_STREAM),
    ("sfu_http_port", 100, socket.SOCK_STREAM),
    ("inference_port", 100, socket.SOCK_STREAM),
)


class Spread(NamedTuple):
    """Settings of the workers: `common` for the parts that serve all workers, `each` with their names and settings."""

    common: Settings
    each: list[tuple[str, Settings]]


def spread(settings: Settings) -> Spread:
    """Return the settings of each of `workers` sfu processes; for one process they are unchanged."""
    if settings["workers"] <= 1:
        return Spread(settings, [("sfu", settings)])
    numbers = range(1, settings["workers"] + 1)
    each = [(f"sfu-{number}", _of_worker(settings, number)) for number in numbers]
    sockets = tuple(path for _, one in each for path in one["sink_sockets"])
    common = settings.replaced(sink_sockets=sockets)
    if not (settings["sfu_nodes"] or settings["sfu_nodes_file"] or settings["etcd_urls"]):
        common = common.replaced(sfu_nodes=tuple(_listed(one) for _, one in each))
    return Spread(common, each)


def run(settings: Settings) -> int:
    """Supervise the workers of `parley sfu` until SIGINT or SIGTERM; return the exit code."""
    logging_setup.install(settings, "sfu")
    die_with_parent()
    settings["runtime_dir"].mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        asyncio.run(_supervise(settings))
    except (ChildFailed, OSError) as error:
        print(f"parley: {error}", file=sys.stderr)
        return 1
    return 0


async def _supervise(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = open_port(settings)
    if port is not None and not settings["sfu_udp_port"]:
        settings = settings.replaced(sfu_udp_port=port.port)
    each = spread(settings).each
    children = [Child(one, settings["runtime_dir"]) for one in sfu_programs(each, port)]
    stopping = asyncio.ensure_future(stop.wait())
    starting = asyncio.ensure_future(_start(children))
    steering = asyncio.ensure_future(steer(port))
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            notify_ready()
            await stopping
    finally:
        stopping.cancel()
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, ChildFailed):
            await starting
        drains = settings["drain_seconds"] >= 0
        patience = STOP_SECONDS + (settings["drain_seconds"] + MOVING_SECONDS if drains else 0)
        await asyncio.gather(*(child.stop(patience) for child in children))
        steering.cancel()
        await asyncio.gather(steering, return_exceptions=True)


def open_port(settings: Settings) -> PortGroup | None:
    """Return the UDP port that all workers share, None if each has its own. Raises OSError."""
    if settings["workers"] <= 1 or not settings["share_udp_port"]:
        return None
    return PortGroup(settings["sfu_addresses"] or local_addresses(), settings["sfu_udp_port"], settings["workers"])


def sfu_programs(each: list[tuple[str, Settings]], port: PortGroup | None) -> list[Program]:
    """Return the programs of the workers, each with its share of a port."""
    if port is None:
        return [program("sfu", *one) for one in each]
    return [program("sfu", *one, port.share(number)) for number, one in enumerate(each)]


async def steer(port: PortGroup | None) -> None:
    """Steer the datagrams of a port to the workers until cancelled, then close it."""
    if port is not None:
        try:
            await port.run()
        finally:
            port.close()


async def _start(children: list[Child]) -> None:
    await asyncio.gather(*(child.start() for child in children))


def program(verb: str, name: str, settings: Settings, share: PortShare | None = None) -> Program:
    """Return the program of a part under its own name; an sfu may have a share of a port."""
    # -P: do not import a local directory that has the name of one of our packages.
    command = [sys.executable, "-P", "-m", "parley", verb]
    environment = settings.environment(SECRETS_OF[verb])
    if share is not None:
        environment[port_share.ENVIRONMENT] = port_share.encode_share(share)
    descriptors = share.descriptors if share is not None else ()
    labelled = settings["log_format"] == "text"
    return Program(name, command, environment, labelled=labelled, descriptors=descriptors, waits=True)


def _of_worker(settings: Settings, number: int) -> Settings:
    ports = {}
    steps = _PORTS if settings["share_udp_port"] else (("sfu_udp_port", 1, socket.SOCK_DGRAM), *_PORTS)
    for name, step, kind in steps:
        first = settings[name]
        if number == 1 and first:
            continue
        allocated = first == 0 or settings.source(name) == "generated"
        ports[name] = allocate_port("127.0.0.1", kind) if allocated else first + step * (number - 1)
    for name in ("sfu_tcp_port", "sfu_webtransport_port"):
        if settings[name] > 0:
            ports[name] = settings[name] + number - 1
    if settings["share_udp_port"] and settings["sfu_tcp_port"] == 0 and number > 1:
        ports["sfu_tcp_port"] = _tcp_port(settings, number)
    return settings.replaced(
        workers=1,
        sfu_node=f"{settings['sfu_node']}-{number}",
        sink_sockets=(str(settings["runtime_dir"] / f"sinks-{number}.sock"),),
        **ports,
    )


def _tcp_port(settings: Settings, number: int) -> int:
    """Return the TCP port for media of a worker after the first, which shares the first one's UDP port."""
    if settings.source("sfu_udp_port") == "generated" or settings["sfu_udp_port"] == 0:
        return allocate_port("127.0.0.1", socket.SOCK_STREAM)
    return int(settings["sfu_udp_port"]) + number - 1


def _listed(settings: Settings) -> str:
    host = url_host(settings["sfu_host"])
    return f"{settings['sfu_node']}={host}:{settings['sfu_signaling_port']}:{settings['sfu_http_port']}"
