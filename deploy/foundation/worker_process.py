"""Starts a worker that knows no secret: a fresh interpreter and a socket to it.

Its environment holds nothing but the module path, it has no standard input, and no descriptor but its socket and what
it is given.
"""

import asyncio
import os
import socket
import sys


async def start(
    module: str,
    *arguments: str,
    descriptors: tuple[int, ...] = (),
    kind: socket.SocketKind = socket.SOCK_STREAM,
) -> tuple[asyncio.subprocess.Process, socket.socket]:
    """Start `python -m module FD arguments…`; return it and our end of its socket.

    `descriptors` are open files that the worker gets under the same numbers; `kind` is the socket's. Raises OSError
    when the process or socket can't be had.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", module, str(theirs.fileno()), *arguments,
            stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(), *descriptors), start_new_session=True,
            env={"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours
