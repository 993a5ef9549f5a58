"""What all parts' processes do alike: run a coroutine, say when it is ready, stop on a signal, die with the parent."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

logger = logging.getLogger("parley")

STOP_SECONDS = 4
_PR_SET_PDEATHSIG = 1

Part = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""A part: takes `ready`, runs until cancelled."""


def run(part: Part, metrics_port: int | None = None) -> int:
    """Run a part until SIGINT or SIGTERM cancels it; returns the exit code.

    `metrics_port` serves /metrics and /health/live on loopback for a part that has no HTTP of its own (0 allocates).
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    die_with_parent()
    uvloop.run(_until_signalled(part, metrics_port))
    return 0


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor dies (Linux); nothing outlives a killed supervisor."""
    supervisor = int(os.environ.get("PARLEY_SUPERVISOR_PID", "0"))
    if not supervisor or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before the request
        sys.exit("the supervisor is gone")


def notify_ready() -> None:
    """Send READY=1 to $NOTIFY_SOCKET (the sd_notify protocol), if there is one."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", path)


async def _until_signalled(part: Part, metrics_port: int | None) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(part(notify_ready))
    metrics = None if metrics_port is None else await _serve_metrics(metrics_port)

    def stop() -> None:
        # Whatever hangs in its shutdown is ended by the default action of SIGALRM.
        signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        if metrics:
            await metrics.cleanup()


async def _serve_metrics(port: int) -> web.AppRunner:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/health/live", live)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
