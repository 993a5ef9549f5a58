"""Starts a worker that knows no secrets: a new interpreter with a socket to it.

Its environment contains only the module path. It has no standard input, and no descriptors except its socket and those
that it is given.
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

    `descriptors` are open files that the worker inherits under the same numbers; `kind` is the type of the socket.
    Raises OSError if the process or socket cannot be created.
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
