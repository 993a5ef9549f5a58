"""A broker that speaks Kafka's protocol (noida-db; not Apache Kafka), on a port that was free.

It is stopped and started as a service of a process that goes on: ended by a signal, it acknowledges what comes for up
to a second more and forgets it, which no broker may do that acknowledges for all replicas.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from parley.network import allocate_port
from tests.support.waiting import until, until_listening


class Broker:
    """It may be stopped and started again, at the same address with what it held."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self._directory = directory
        self._process = process
        self.port = port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._tell("start")
        until_listening(self._process, self.port, 20)

    def stop(self) -> None:
        """Return when it is gone for its clients, and what it acknowledged is kept."""
        self._tell("stop")

    def _tell(self, act: str) -> None:
        command = [str(_program()), act, "kafka", "--data-dir", str(self._directory)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def running_broker(port: int = 0) -> Iterator[Broker]:
    """Start a broker with a directory of its own, and end it at the end."""
    directory, port = Path(tempfile.mkdtemp(prefix="pk")), port or allocate_port()
    process = subprocess.Popen(
        [str(_program()), "start", "--data-dir", str(directory), "--only", "kafka", "--kafka-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until_listening(process, port, 20)
        yield Broker(directory, process, port)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        until(lambda: not _is_alive(process.pid), 10)  # its child, which writes into the directory
        shutil.rmtree(directory)


def _program() -> Path:
    return Path(sys.executable).with_name("noida-db")


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
