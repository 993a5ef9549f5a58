"""Several sfu processes on one machine: each is a node with a name, ports and a sink socket of its own.

Worker N of `sfu-1` is `sfu-1-N`. Its UDP port is the N-th from `sfu_udp_port` on, its signaling and HTTP ports are in
steps of a hundred from theirs; where the system allocates ports it does so for each. `parley sfu --workers N`
supervises them; `parley up` starts them itself, with an inference each and one recorder for all.
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

_PORTS = (
    ("sfu_udp_port", 1, socket.SOCK_DGRAM),
    ("sfu_signaling_port", 100, socket.SOCK_STREAM),
    ("sfu_http_port", 100, socket.SOCK_STREAM),
    ("inference_port", 100, socket.SOCK_STREAM),
)


class Spread(NamedTuple):
    """`common` is for the parts that have to do with every worker; `each` has their names and settings."""

    common: Settings
    each: list[tuple[str, Settings]]


def spread(settings: Settings) -> Spread:
    """Return the settings of as many sfu processes as `workers` says; of one they are the settings as they are."""
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
    """Supervise the workers of `parley sfu` until SIGINT or SIGTERM; returns the exit code."""
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
    children = [Child(program("sfu", *one), settings["runtime_dir"]) for one in spread(settings).each]
    stopping = asyncio.ensure_future(stop.wait())
    starting = asyncio.ensure_future(_start(children))
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
        patience = STOP_SECONDS + max(0, settings["drain_seconds"])
        await asyncio.gather(*(child.stop(patience) for child in children))


async def _start(children: list[Child]) -> None:
    await asyncio.gather(*(child.start() for child in children))


def program(verb: str, name: str, settings: Settings) -> Program:
    """Return how a part is run under a name of its own."""
    # -P: a directory that happens to be called like one of our packages is not imported.
    command = [sys.executable, "-P", "-m", "parley", verb]
    return Program(name, command, settings.environment(SECRETS_OF[verb]), labelled=settings["log_format"] == "text")


def _of_worker(settings: Settings, number: int) -> Settings:
    ports = {}
    for name, step, kind in _PORTS:
        first = settings[name]
        if number == 1 and first:
            continue
        allocated = first == 0 or settings.source(name) == "generated"
        ports[name] = allocate_port("127.0.0.1", kind) if allocated else first + step * (number - 1)
    for name in ("sfu_tcp_port", "sfu_webtransport_port"):
        if settings[name] > 0:
            ports[name] = settings[name] + number - 1
    return settings.replaced(
        workers=1,
        sfu_node=f"{settings['sfu_node']}-{number}",
        sink_sockets=(str(settings["runtime_dir"] / f"sinks-{number}.sock"),),
        **ports,
    )


def _listed(settings: Settings) -> str:
    host = url_host(settings["sfu_host"])
    return f"{settings['sfu_node']}={host}:{settings['sfu_signaling_port']}:{settings['sfu_http_port']}"
