"""Disk space: the reserve that files must leave, and the error of a full disk.

If the database cannot write, every meeting stops, so files leave a reserve for it. Running recordings may use the
reserve too.
"""

import errno
import shutil
from pathlib import Path

import asyncpg

from control.problem import Problem

_RESERVE = 256 * 1024**2
_RESERVE_SHARE = 10  # limits the reserve on a small disk


def require(directory: Path, size: int = 0) -> None:
    """Raise OSError ENOSPC if the disk of an existing directory cannot hold `size` bytes and keep its reserve."""
    if (left := _left(directory) - size) < 0:
        raise OSError(errno.ENOSPC, f"{-left // 1_000_000 + 1} MB must be freed first", str(directory))


def trouble(directory: Path) -> str | None:
    """Return an error if files are refused for lack of space, or None if there is space."""
    above = next(one for one in (directory, *directory.parents) if one.exists())
    return "only the reserve of the disk is left, so files are refused" if _left(above) <= 0 else None


def is_no_space(error: BaseException) -> bool:
    """Return whether an error means that a disk, a file system quota or the database's disk is full."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, asyncpg.DiskFullError)


def no_space() -> Problem:
    return Problem(507, "no_space", "The server's disk is full. The administrator must free space.")


def _left(directory: Path) -> int:
    """Return the free bytes beyond the reserve; negative if the reserve is in use."""
    usage = shutil.disk_usage(directory)
    return usage.free - min(_RESERVE, usage.total // _RESERVE_SHARE)
