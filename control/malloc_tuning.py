"""Tuning of glibc's malloc, so that memory used for file transfers is returned to the system.

Freed blocks of 64 KB to 1 MB otherwise stay in the heap: the threshold above which malloc maps a block separately
starts at 128 KB and rises to the size of freed blocks. After fifty transfers, the process kept twice the memory. A set
threshold never rises (mallopt(3), M_MMAP_THRESHOLD).
"""

import ctypes

_M_MMAP_THRESHOLD = -3
_BYTES = 128 * 1024


def hold_threshold() -> None:
    """Set the threshold for this process; do nothing with other allocators."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BYTES)
