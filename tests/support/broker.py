"""A broker that speaks Kafka's protocol (noida-db, not Apache Kafka), on a free port.

It is stopped and started as a service within a process that keeps running. If a signal ended it, it would acknowledge
records for up to another second and forget them, which a broker that acknowledges for all replicas must not do.
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
    """A broker that can be stopped and restarted, at the same address and with its records."""

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
        """Stop; return when clients cannot reach it and all acknowledged records are stored."""
        self._tell("stop")

    def _tell(self, act: str) -> None:
        command = [str(_program()), act, "kafka", "--data-dir", str(self._directory)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def running_broker(port: int = 0) -> Iterator[Broker]:
    """Start a broker with its own directory, and stop it at the end."""
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
