"""`parley flight`: fetch the flight recording of a live room, print it, or replay it through the state machines."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp

from foundation.part_tls import PartTls, over_tls, part_session
from foundation.settings import Settings, SettingsError, resolve, with_secrets
from parley import running_ports
from parley.flight_plot import read_capacity, write_plot
from parley.network import url_host
from parley.part_encryption import part_tls
from sfu.flight import dump as flight_dump
from sfu.flight.replay import replay
from sfu.flight.series import series

Handler = Callable[[argparse.Namespace], int]
_SECONDS = 10


def main(_: Settings, chosen: argparse.Namespace) -> int:
    """Run an act; return the exit code. It parses its own flags and reads the settings that it needs."""
    return run(chosen.rest)


def run(argv: list[str]) -> int:
    """Run `parley flight` with `argv` (without the program's name) and return the exit status."""
    parser = argparse.ArgumentParser(prog="parley flight", description="Decisions of a room in its last minutes.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    fetcher = verbs.add_parser("fetch", help="fetch the flight recording of a live room")
    fetcher.add_argument("room", metavar="MEETING")
    fetcher.add_argument("--out", type=Path, metavar="FILE", help="where to write it; unset: MEETING.flight")
    fetcher.add_argument("--node-url", metavar="URL", help="private HTTP URL of the sfu node; unset: from the settings")
    fetcher.add_argument("--config", type=Path, metavar="FILE", default=os.environ.get("PARLEY_CONFIG"))
    fetcher.set_defaults(handler=_fetch)
    for name, read, meaning in (
        ("show", _show, "print a recording as JSON lines"),
        ("replay", _replay, "repeat estimates and allocations from the recorded inputs, and report differences"),
    ):
        reader = verbs.add_parser(name, help=meaning, description=meaning)
        reader.add_argument("file", type=Path, metavar="FILE")
        reader.set_defaults(handler=read)
        if read is _replay:
            _add_plot(reader)
    arguments = parser.parse_args(argv)
    handler: Handler = arguments.handler
    try:
        return handler(arguments)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe; the exit must not write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (aiohttp.ClientError, TimeoutError, OSError, SettingsError, ValueError) as error:
        print(f"parley flight: {error}", file=sys.stderr)
    return 1


def _add_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="plot estimate, allocation and delay (needs matplotlib)"
    )
    parser.add_argument(
        "--who", action="append", metavar="PARTICIPANT", help="plot only this participant; repeatable; unset: all"
    )
    parser.add_argument(
        "--capacity",
        type=Path,
        metavar="FILE",
        help="also plot the capacity of the link: lines of seconds (CLOCK_MONOTONIC, as in the recording) and bits/s",
    )


def _fetch(arguments: argparse.Namespace) -> int:
    settings = running_ports.follow(with_secrets(resolve({}, os.environ, arguments.config)))
    tls = part_tls(settings)
    scheme = over_tls("http", tls)
    base = arguments.node_url or f"{scheme}://{url_host(settings['sfu_host'])}:{settings['sfu_http_port']}"
    url = f"{base.rstrip('/')}/node/v1/rooms/{quote(arguments.room, safe='')}/flight"
    dump = asyncio.run(_get(url, settings["node_secret"], tls))
    header, entries = flight_dump.read(dump)
    path = arguments.out or Path(f"{Path(header.room).name}.flight")
    path.write_bytes(dump)
    print(f"{len(entries)} entries in {path}")
    return 0


async def _get(url: str, node_secret: str, tls: PartTls | None) -> bytes:
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with part_session(node_secret, tls, timeout) as session, session.get(url) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise ValueError(f"the node answered {answer.status}: {body[:500].decode(errors='replace')}")
        return body


def _show(arguments: argparse.Namespace) -> int:
    for line in flight_dump.lines(arguments.file.read_bytes()):
        sys.stdout.write(line.decode())
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    _, entries = flight_dump.read(arguments.file.read_bytes())
    done = replay(entries)
    if arguments.plot is not None:
        links = {who: link for who, link in series(entries).items() if not arguments.who or who in arguments.who}
        write_plot(arguments.plot, links, read_capacity(arguments.capacity) if arguments.capacity else ())
        print(f"plot in {arguments.plot}")
    total = 0
    for what, results in (("estimates", done.estimates), ("allocations", done.grants)):
        differing = [result for result in results if result.recorded != result.replayed]
        for result in differing:
            print(f"{result.at / 1e6:.1f} ms {result.who}: was {result.recorded}, is {result.replayed}")
        print(f"{len(results)} {what}, {len(differing)} differ")
        total += len(differing)
    return 1 if total else 0
