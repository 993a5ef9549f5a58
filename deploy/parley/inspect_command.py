"""`parley inspect`: shows what a part on this machine is doing: its stacks and tasks, a profile, or its memory."""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp

from foundation.failures import describe
from foundation.settings import Settings
from parley.inspection_socket import LONGEST_SECONDS, path_of


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Print the answer; return the exit code."""
    path = path_of(settings, chosen.part)
    try:
        print(asyncio.run(ask(path, chosen.what, chosen.seconds)), end="")
    except (aiohttp.ClientError, OSError) as error:
        print(f"parley: {chosen.part} does not answer at {path}: {describe(error)}", file=sys.stderr)
        return 1
    return 0


async def ask(path: Path, what: str, seconds: float) -> str:
    """Return the answer of the part with this socket. Raises ClientError, OSError."""
    timeout = aiohttp.ClientTimeout(total=LONGEST_SECONDS + 30)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session,
        session.get(f"http://part/{what}", params={"seconds": str(seconds)}) as answer,
    ):
        answer.raise_for_status()
        return await answer.text()
