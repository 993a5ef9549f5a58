"""A socket of each part for `parley inspect`, which asks what the process is doing.

It is in `runtime_dir`, and only the part's user can open it, so it needs no secret and is on no network.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from foundation import inspection
from foundation.failures import describe
from foundation.settings import Settings
from parley.operator_flags import ANSWERS

_log = logging.getLogger(__name__)
LONGEST_SECONDS = 60.0
_SECONDS = 5.0
_TIMED: dict[str, Callable[[float], str]] = {"profile": inspection.profile, "heap": inspection.heap}


def path_of(settings: Settings, part: str) -> Path:
    """Return the socket of a part; each of several nodes on a machine has its own."""
    runtime: Path = settings["runtime_dir"]
    name = settings["sfu_node"] if part in ("sfu", "inference") else ""
    return runtime / "-".join(("inspect", part, *([name] if name else [])))


async def serve(settings: Settings, part: str) -> web.AppRunner | None:
    """Listen; return None if the socket cannot be created, without which the part still works."""
    app = web.Application()
    app.add_routes([web.get(f"/{what}", _answer) for what in ANSWERS])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    path = path_of(settings, part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        await web.UnixSite(runner, str(path)).start()
        path.chmod(0o600)
    except OSError as error:
        _log.debug("no socket for parley inspect: %s", describe(error))
        await runner.cleanup()
        return None
    return runner


async def _answer(request: web.Request) -> web.Response:
    what = request.path.strip("/")
    if what == "stacks":
        return web.Response(text=inspection.stacks())
    try:
        seconds = min(float(request.query.get("seconds", _SECONDS)), LONGEST_SECONDS)
    except ValueError:
        return web.Response(status=400, text="seconds is not a number\n")
    return web.Response(text=await asyncio.to_thread(_TIMED[what], seconds))
