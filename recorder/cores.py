"""The share of the cores that nobody needs: what is idle, and what low-priority work such as films uses."""

from pathlib import Path

_STAT = Path("/proc/stat")
_NICE, _IDLE, _IOWAIT, _STOLEN = 1, 3, 4, 7


class FreeCores:
    """Measures between two calls of `look`."""

    def __init__(self) -> None:
        self._before: list[int] = []

    def look(self) -> float:
        """Return the number of free cores since the last call, 0 at first or if the kernel does not tell."""
        lines = _lines()
        now = _times(lines)
        before, self._before = self._before, now
        if len(before) != len(now) or not now:
            return 0.0
        passed = [after - earlier for after, earlier in zip(now, before, strict=True)]
        cores = sum(line.startswith("cpu") for line in lines) - 1
        free = passed[_NICE] + passed[_IDLE] + passed[_IOWAIT]
        return cores * free / max(1, sum(passed[: _STOLEN + 1]))


def _lines() -> list[str]:
    try:
        return _STAT.read_text().splitlines()
    except OSError:
        return []


def _times(lines: list[str]) -> list[int]:
    return [int(field) for field in lines[0].split()[1:]] if lines else []
