"""The share of time in which this thread ran, of the time that it could have had: that in which it was ready to run but
had no processor does not count, since other programs used it.

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
        self._before: tuple[int, int] | None = None
        self._at = 0

    def read(self, now: int) -> float | None:
        """Return the share, 0 to 1, since the last reading; None the first time, or if the kernel does not count it."""
        counted, before = self._read(), self._before
        at, self._at, self._before = self._at, now, counted
        if counted is None or before is None or now <= at:
            return None
        ran, stood = (newer - older for newer, older in zip(counted, before, strict=True))
        had = now - at - stood
        return min(1.0, ran / had) if had > 0 else 1.0

    def _read(self) -> tuple[int, int] | None:
        """Return the times (ns) in which the thread ran, and waited for a processor."""
        if self._counters is None:
            return None
        try:
            running, waiting, _ = os.pread(self._counters, _LONGEST, 0).split()
            return int(running), int(waiting)
        except (OSError, ValueError):
            return None
