"""Waiting for a condition, with a bound."""

import socket
import subprocess
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition; returns how long it took, fails after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - started


def until_listening(process: subprocess.Popen[bytes], port: int, seconds: float = 30) -> None:
    """Wait until a process just started accepts connections on a loopback port; fails when it has ended."""

    def listens() -> bool:
        assert process.poll() is None, f"{process.args!r} has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens, seconds)
