"""The share of time in which this thread ran, or was ready to run but had no processor.

Linux counts both in `/proc/thread-self/schedstat`.
"""

from pathlib import Path

_SCHEDSTAT = Path("/proc/thread-self/schedstat")


class TimeInUse:
    """Measures the share from one reading to the next."""

    def __init__(self, path: Path = _SCHEDSTAT) -> None:
        self._path = path
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
        try:
            running, waiting, _ = self._path.read_text().split()
            return int(running) + int(waiting)
        except (OSError, ValueError):
            return None
