"""Room on disk: what is left for others when files are kept, and what a full disk is told as.

A database that cannot write stops every meeting, so files leave it a reserve; recordings under way may use that too.
"""

import errno
import shutil
from pathlib import Path

import asyncpg

from control.http.problem import Problem

_RESERVE = 256 * 1024**2
_RESERVE_SHARE = 10  # of a small disk


def require(directory: Path, size: int = 0) -> None:
    """Raise OSError ENOSPC when the disk of an existing directory cannot take `size` bytes and keep its reserve."""
    if (left := _left(directory) - size) < 0:
        raise OSError(errno.ENOSPC, f"{-left // 1_000_000 + 1} MB must be freed first", str(directory))


def trouble(directory: Path) -> str | None:
    """Return that no files are taken for want of room, None when there is some."""
    above = next(one for one in (directory, *directory.parents) if one.exists())
    return "the disk is full but for its reserve: no files are taken" if _left(above) <= 0 else None


def is_no_space(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota of a file system or the database's disk is full."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, asyncpg.DiskFullError)


def no_space() -> Problem:
    return Problem(507, "no_space", "The server's disk is full. Its administrator has to make room.")


def _left(directory: Path) -> int:
    """Return what is left beside the reserve; below zero when that is used already."""
    usage = shutil.disk_usage(directory)
    return usage.free - min(_RESERVE, usage.total // _RESERVE_SHARE)
