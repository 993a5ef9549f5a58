"""Processes that handle media from participants: modules of this house, without secrets in their environment."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PACKAGES = Path(__file__).parent.parent
_INHERITED = ("PATH", "LANG", "LD_LIBRARY_PATH")
_LINE_LIMIT = 1 << 16


async def start(
    module: str, *arguments: str, pass_fds: Sequence[int] = (), limit: int = _LINE_LIMIT
) -> asyncio.subprocess.Process:
    """Start `python -m module`, with pipes for its input, output and errors. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=pass_fds,
        limit=limit,
        cwd=_PACKAGES,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    )


def last_line(complaints: bytes) -> str:
    """Return the last line of what a process wrote to its errors: the error itself, after a traceback."""
    return complaints.decode(errors="replace").strip().rpartition("\n")[2]
