"""`parley nodes`: list the sfu nodes that control knows, and drain one before it is stopped or upgraded.

It asks control's internal listener with the node secret, so it must run where the parts run.
"""

import argparse
import asyncio
import sys

import aiohttp
import msgspec

from foundation.failures import describe
from foundation.part_tls import part_session
from foundation.settings import Settings, with_secrets
from parley import running_ports
from parley.part_configs import control_url
from parley.part_encryption import part_tls
from sfu.api.registration import DrainWish, NodeStandings

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Refused(RuntimeError):
    """Control refused; the message says why."""


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Run an act; return the exit code. Raises SettingsError without the node secret."""
    settings = running_ports.follow(with_secrets(settings))
    try:
        if chosen.act == "list":
            _show(msgspec.json.decode(_ask(settings, "GET", ""), type=NodeStandings))
        else:
            wish = DrainWish(draining=chosen.act == "drain", grace_seconds=getattr(chosen, "grace", None))
            _ask(settings, "PUT", f"/{chosen.name}/drain", msgspec.json.encode(wish))
    except (Refused, aiohttp.ClientError, TimeoutError, ValueError) as error:
        print(f"parley: {describe(error)}", file=sys.stderr)
        return 1
    return 0


def _show(standings: NodeStandings) -> None:
    if not standings.nodes:
        print("no node is registered", file=sys.stderr)
    for one in standings.nodes:
        record, load = one.record, one.record.load
        state = ("draining" if record.draining else "living") if one.living else "lost"
        busy = f"{load.cpu:.0%} CPU, {load.rooms} rooms, {load.participants} participants"
        print(f"{record.node}  {state}  {busy}  {record.region or '-'}  {record.http_url}")


def _ask(settings: Settings, method: str, path: str, body: bytes | None = None) -> bytes:
    return asyncio.run(_exchange(settings, method, f"{control_url(settings)}/internal/v1/nodes{path}", body))


async def _exchange(settings: Settings, method: str, url: str, body: bytes | None) -> bytes:
    async with (
        part_session(settings["node_secret"], part_tls(settings), _TIMEOUT) as session,
        session.request(method, url, data=body) as answer,
    ):
        found = await answer.read()
        if answer.status >= 400:
            raise Refused(f"control answered {answer.status}: {found.decode(errors='replace')[:200]}")
        return found
