"""Tuning of glibc's malloc, so that memory of file transfers is returned to the system.

Freed blocks of 64 KB to 1 MB otherwise stay in the heap: the threshold above which malloc maps a block separately
starts at 128 KB and rises to the size of freed blocks. With fifty transfers the process took twice the memory, for
good. Setting the threshold fixes it (mallopt(3), M_MMAP_THRESHOLD).
"""

import ctypes

_M_MMAP_THRESHOLD = -3
_BYTES = 128 * 1024


def hold_threshold() -> None:
    """Fix the threshold for this process; does nothing with other allocators."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BYTES)
