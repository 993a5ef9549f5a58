"""Waiting for a condition, with a bound."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition; returns how long it took, fails after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - started
