"""Limits of a process that decodes media from participants."""

import os
import resource

_MAX_MEMORY = 4 << 30


def confine(nice: int) -> None:
    """Give this process a low priority, limited memory, and no core dumps."""
    os.nice(nice)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
