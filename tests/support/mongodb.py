"""A server that speaks MongoDB's protocol (nx-27017 over SQLite, not MongoDB), on a free port."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from parley.network import allocate_port
from tests.support.waiting import until_listening


@contextlib.contextmanager
def running_mongodb() -> Iterator[str]:
    """Start the server, yield its URL, and stop it at the end."""
    port = allocate_port()
    with tempfile.TemporaryDirectory(prefix="pm") as directory:
        program = Path(sys.executable).with_name("nx-27017")
        files = ["--data-dir", directory, "--log-file", f"{directory}/log", "--pid-file", f"{directory}/pid"]
        process = subprocess.Popen(
            [str(program), "--host", "127.0.0.1", "-p", str(port), *files],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until_listening(process, port)
            yield f"mongodb://127.0.0.1:{port}/parley"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(10)
