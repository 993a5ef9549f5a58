"""A kernel timer (timerfd), exact to fractions of a millisecond, unlike uvloop's.

`os` has it from Python 3.13 on; earlier versions need ctypes.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_SECOND = 1_000_000_000
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Setting(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "seconds", "nanoseconds")]


class PreciseTimer:
    """Calls `callback` once in the loop, some ns after `set`. Raises OSError if there are no more descriptors."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._descriptor = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "no kernel timer available")
        loop.add_reader(self._descriptor, self._fired)

    def set(self, delay: int) -> None:
        """Call back after `delay` ns, in place of an earlier setting."""
        delay = max(1, delay)
        setting = _Setting(0, 0, delay // _SECOND, delay % _SECOND)
        _LIBC.timerfd_settime(self._descriptor, 0, ctypes.byref(setting), None)

    def close(self) -> None:
        """Never call back again."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _fired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:  # it was set again meanwhile
            return
        self._callback()
