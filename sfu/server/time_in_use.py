"""The share of time in which this thread ran, or was ready to run but had no processor.

Linux counts both in `/proc/thread-self/schedstat`.
"""

import os
import weakref
from pathlib import Path

_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_LONGEST = 100


class TimeInUse:
    """Measures the share from one reading to the next."""

    def __init__(self, path: Path = _SCHEDSTAT) -> None:
        """Open the counters of the calling thread; it is read several times a second, so it stays open."""
        try:
            self._counters: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._counters)
        except OSError:
            self._counters = None
        self._used: int | None = None
        self._at = 0

    def read(self, now: int) -> float | None:
        """Return the share, 0 to 1, since the last reading; None the first time, or if the kernel does not count it."""
        used, before = self._read(), self._used
        at, self._at, self._used = self._at, now, used
        if used is None or before is None or now <= at:
            return None
        return min(1.0, (used - before) / (now - at))

    def _read(self) -> int | None:
        if self._counters is None:
            return None
        try:
            running, waiting, _ = os.pread(self._counters, _LONGEST, 0).split()
            return int(running) + int(waiting)
        except (OSError, ValueError):
            return None
