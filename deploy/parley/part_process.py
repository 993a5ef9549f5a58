"""The process of a part: runs a coroutine, reports when it is ready, stops on a signal, dies with its parent."""

import asyncio
import contextlib
import ctypes
import faulthandler
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest

from foundation import descriptors, inspection, logging_setup, loop_lag, stored_settings
from foundation import trace_export as tracing
from foundation.background import cancel_all, keep_running
from foundation.hot_settings import LiveSettings
from foundation.settings import Settings
from parley import inspection_socket
from parley.child import await_turn
from parley.part_configs import control_url
from parley.part_encryption import part_tls

_log = logging.getLogger(__name__)
STOP_SECONDS = 4
_PR_SET_PDEATHSIG = 1
_RECORDERS = frozenset({"recorder", "film-worker"})
"""Parts whose loops may lag: they are measured less often, since that is most of what they do while idle."""

Part = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""A part: takes `ready`, runs until cancelled."""


def run(
    settings: Settings,
    name: str,
    part: Part,
    metrics_port: int | None = None,
    *,
    stop_seconds: float = 0,
    live: LiveSettings | None = None,
) -> int:
    """Run the part called `name` until SIGINT or SIGTERM cancels it; return the exit code. Raises SettingsError.

    `metrics_port` serves /metrics and /health/live for a part without HTTP (0 allocates a port). A part that must
    finish work may take up to `stop_seconds` to stop. `live` applies settings that change while it runs; every part but
    control asks control for those that administrators changed. A crash in native code writes its stack to standard
    error; SIGUSR1 logs the stacks of all threads and tasks, and SIGUSR2 writes the threads' stacks even while Python
    itself is stuck.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a gauge beside each counter, which nothing reads
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2)
    logging_setup.install(settings, name, tracing.log_fields)
    descriptors.raise_limit()
    die_with_parent()
    await_turn()
    metrics = None if metrics_port is None else (settings["metrics_host"], metrics_port)
    with tracing.recording(settings, name):
        following = live or LiveSettings(settings, {})
        following.on("log_level", logging_setup.set_level)
        servers = [inspection_socket.serve(settings, name)]
        if metrics is not None:
            servers.append(_serve_metrics(*metrics))
        tls = part_tls(settings)
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "loop lag": functools.partial(loop_lag.measure, 1.0 if name in _RECORDERS else 0.25),
            "live settings": following.follow,
        }
        if name != "control" and settings["node_secret"]:
            works["stored settings"] = functools.partial(
                stored_settings.follow, control_url(settings), settings["node_secret"], tls, following.take_stored
            )
        if tls is not None:
            works["certificate of the part"] = tls.run
        uvloop.run(_until_signalled(part, servers, STOP_SECONDS + stop_seconds, works))
    return 0


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor dies (Linux), so nothing outlives a killed supervisor."""
    supervisor = int(os.environ.get("PARLEY_SUPERVISOR_PID", "0"))
    if not supervisor or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before the request
        sys.exit("the supervisor has ended")


def notify_ready() -> None:
    """Send READY=1 to $NOTIFY_SOCKET (the sd_notify protocol), if there is one."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", path)


async def _until_signalled(
    part: Part,
    beside_it: Sequence[Coroutine[Any, Any, web.AppRunner | None]],
    stop_seconds: float,
    works: Mapping[str, Callable[[], Awaitable[None]]],
) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(part(notify_ready))
    beside = [asyncio.ensure_future(keep_running(name, work)) for name, work in works.items()]
    servers = [await server for server in beside_it]

    def stop() -> None:
        # If the shutdown hangs, a separate thread writes the stacks and ends the process. A signal would not work: the
        # first process of a container ignores signals that it does not handle.
        faulthandler.dump_traceback_later(stop_seconds, exit=True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGUSR1, lambda: _log.warning("requested by SIGUSR1:\n%s", inspection.stacks()))
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        await cancel_all(beside)
        for server in servers:
            if server is not None:
                await server.cleanup()


async def _serve_metrics(host: str, port: int) -> web.AppRunner | None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/health/live", live)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
