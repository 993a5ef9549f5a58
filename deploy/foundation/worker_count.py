"""A number of processes, or one for each available core."""

import os
from pathlib import Path
from typing import Self

AUTO = "auto"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class WorkerCount(int):
    """A number, or "auto": one process for each core that this one may use."""

    def __new__(cls, value: int | str) -> Self:
        """Parse a number or "auto"; raises ValueError for anything else."""
        return super().__new__(cls, usable_cores() if value == AUTO else value)


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return the number of cores that this process may use: its CPU affinity, limited by its control group's quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        return max(1, min(bound, int(allowed) // int(period)))
    except (OSError, ValueError):  # there is no quota, or it is "max"
        return bound
