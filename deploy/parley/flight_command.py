"""`parley flight`: fetch a live room's flight recorder, read a dump, or run it through the state machines again."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp

from parley.network import url_host
from parley.settings import SettingsError, resolve, with_secrets
from sfu.rooms import flight_dump
from sfu.rooms.flight_replay import replay

Handler = Callable[[argparse.Namespace], int]
_SECONDS = 10


def main(argv: list[str]) -> int:
    """Run `parley flight` with `argv` (without the program's name) and return the exit status."""
    parser = argparse.ArgumentParser(prog="parley flight", description="What happened in a room's last minute.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    fetcher = verbs.add_parser("fetch", help="dump the flight recorder of a live room")
    fetcher.add_argument("room", metavar="MEETING")
    fetcher.add_argument("--out", type=Path, metavar="FILE", help="where to write it; unset: MEETING.flight")
    fetcher.add_argument("--node-url", metavar="URL", help="private HTTP of the sfu node; unset: from the settings")
    fetcher.add_argument("--config", type=Path, metavar="FILE", default=os.environ.get("PARLEY_CONFIG"))
    fetcher.set_defaults(handler=_fetch)
    for name, read, meaning in (
        ("show", _show, "print a dump as JSON lines"),
        ("replay", _replay, "estimate and allocate again from a dump's input, and tell what differs"),
    ):
        reader = verbs.add_parser(name, help=meaning, description=meaning)
        reader.add_argument("file", type=Path, metavar="FILE")
        reader.set_defaults(handler=read)
    arguments = parser.parse_args(argv)
    handler: Handler = arguments.handler
    try:
        return handler(arguments)
    except (aiohttp.ClientError, TimeoutError, OSError, SettingsError, ValueError) as error:
        print(f"parley flight: {error}", file=sys.stderr)
    return 1


def _fetch(arguments: argparse.Namespace) -> int:
    settings = with_secrets(resolve({}, os.environ, arguments.config))
    base = arguments.node_url or f"http://{url_host(settings['sfu_host'])}:{settings['sfu_http_port']}"
    url = f"{base.rstrip('/')}/node/v1/rooms/{quote(arguments.room, safe='')}/flight"
    dump = asyncio.run(_get(url, settings["node_secret"]))
    header, entries = flight_dump.read(dump)
    path = arguments.out or Path(f"{Path(header.room).name}.flight")
    path.write_bytes(dump)
    print(f"{len(entries)} entries in {path}")
    return 0


async def _get(url: str, node_secret: str) -> bytes:
    headers = {"Authorization": f"Bearer {node_secret}"}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session, session.get(url) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise ValueError(f"the node answers {answer.status}: {body[:500].decode(errors='replace')}")
        return body


def _show(arguments: argparse.Namespace) -> int:
    for line in flight_dump.lines(arguments.file.read_bytes()):
        sys.stdout.write(line.decode())
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    _, entries = flight_dump.read(arguments.file.read_bytes())
    done = replay(entries)
    total = 0
    for what, results in (("estimates", done.estimates), ("allocations", done.grants)):
        differing = [result for result in results if result.recorded != result.replayed]
        for result in differing:
            print(f"{result.at / 1e6:.1f} ms {result.who}: was {result.recorded}, is {result.replayed}")
        print(f"{len(results)} {what}, {len(differing)} differ")
        total += len(differing)
    return 1 if total else 0
