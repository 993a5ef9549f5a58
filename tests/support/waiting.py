"""Waits for conditions, each with a time limit: `until` in ordinary code, `eventually` in asyncio."""

import asyncio
import inspect
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""A time limit that a busy machine meets."""


def until(condition: Callable[[], Any], seconds: float = SECONDS, why: Callable[[], object] | str = "") -> Any:
    """Wait until the condition is true and return its value; fail after `seconds`, with `why`."""
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        assert waited < seconds, _failure(seconds, why)
        time.sleep(_pause(waited))
    return value


async def eventually(
    condition: Callable[[], Any], seconds: float = SECONDS, why: Callable[[], object] | str = ""
) -> Any:
    """Wait until the condition, awaited if needed, is true and return its value; fail after `seconds`, with `why`."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            while True:
                value = condition()
                if inspect.isawaitable(value):
                    value = await value
                if value:
                    return value
                await asyncio.sleep(_pause(time.monotonic() - began))
    except TimeoutError as error:
        raise AssertionError(_failure(seconds, why)) from error


def until_up(process: subprocess.Popen[bytes], answers: Callable[[], Any], log: Path, seconds: float = 60) -> None:
    """Wait until a new process answers; fail with its log if it ends or takes too long."""

    def tail() -> str:
        return log.read_text(errors="replace")[-5000:]

    def is_up() -> bool:
        assert process.poll() is None, f"{process.args!r} has ended: {tail()}"
        return bool(answers())

    until(is_up, seconds, tail)


def until_listening(process: subprocess.Popen[bytes], port: int, seconds: float = SECONDS) -> None:
    """Wait until a new process accepts connections on a loopback port; fail if it ends."""

    def listens() -> bool:
        assert process.poll() is None, f"{process.args!r} has ended"
        return accepts(port)

    until(listens, seconds)


def accepts(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _pause(waited: float) -> float:
    """Return how long to wait before the next look: often at first, then seldom enough for limits on requests."""
    return min(max(0.02, 0.05 * waited), 0.5)


def _failure(seconds: float, why: Callable[[], object] | str) -> str:
    return f"not within {seconds} s: {why() if callable(why) else why}"
