"""A server that speaks MongoDB's protocol, on a free port: FerretDB if it is there (`make real`), else nx-27017."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from parley.network import allocate_port
from tests.support.real_programs import found
from tests.support.waiting import until_listening


@contextlib.contextmanager
def running_mongodb() -> Iterator[str]:
    """Start the server, yield its URL, and stop it at the end."""
    port = allocate_port()
    with tempfile.TemporaryDirectory(prefix="pm") as directory:
        ferretdb = found("ferretdb")
        process = subprocess.Popen(
            _emulator(port, directory) if ferretdb is None else [str(ferretdb), *_ferretdb(port, directory)],
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


def _ferretdb(port: int, directory: str) -> list[str]:
    """Return its options: data in SQLite, no telemetry."""
    files = [f"--sqlite-url=file:{directory}/", f"--state-dir={directory}"]
    return ["--handler=sqlite", *files, f"--listen-addr=127.0.0.1:{port}", "--debug-addr=-", "--telemetry=disable"]


def _emulator(port: int, directory: str) -> list[str]:
    program = Path(sys.executable).with_name("nx-27017")
    files = ["--data-dir", directory, "--log-file", f"{directory}/log", "--pid-file", f"{directory}/pid"]
    return [str(program), "--host", "127.0.0.1", "-p", str(port), *files]
