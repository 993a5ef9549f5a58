"""CPU time of a process or a thread, by its directory in /proc (proc(5), `stat`)."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_times(directory: Path) -> tuple[float, float]:
    """Return the user and the system time in seconds; a process's are those of all its threads."""
    fields = (directory / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / _TICK, int(fields[12]) / _TICK


def cpu_seconds(directory: Path) -> float:
    """Return the user and system time together."""
    return sum(cpu_times(directory))
