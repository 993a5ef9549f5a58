"""A number of processes, or as many as there are cores to run them on."""

import os
from pathlib import Path
from typing import Self

AUTO = "auto"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class WorkerCount(int):
    """A number, or "auto": one process for each core that this one may use."""

    def __new__(cls, value: int | str) -> Self:
        """ValueError for anything else."""
        return super().__new__(cls, usable_cores() if value == AUTO else value)


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return how many cores this process may use: those it is bound to, and no more than its control group pays for."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        return max(1, min(bound, int(allowed) // int(period)))
    except (OSError, ValueError):  # there is none, or it says "max"
        return bound
