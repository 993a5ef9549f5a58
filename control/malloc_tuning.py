"""Memory of transfers is given back: glibc's malloc keeps freed pieces of 64 KB to 1 MB otherwise.

Its threshold for asking the kernel for a block of its own starts at 128 KB and rises to the size of what is freed,
after which pieces of files come out of the heap, and the holes between them stay: twice the memory at fifty transfers,
and it never came back. To set the threshold holds it there (mallopt(3), M_MMAP_THRESHOLD).
"""

import ctypes

_M_MMAP_THRESHOLD = -3
_BYTES = 128 * 1024


def hold_threshold() -> None:
    """Hold the threshold for this process; other allocators have none, and are left alone."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BYTES)
