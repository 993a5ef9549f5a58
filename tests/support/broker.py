"""A broker that speaks Kafka's protocol (noida-db; not Apache Kafka), on a port that was free."""

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
from tests.support.waiting import until_listening


class Broker:
    """It may be stopped and started again, at the same address with what it held."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self._directory = directory
        self.port = port or allocate_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        program = Path(sys.executable).with_name("noida-db")
        command = [str(program), "start", "--data-dir", str(self._directory), "--only", "kafka"]
        self._process = subprocess.Popen(
            [*command, "--kafka-port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until_listening(self._process, self.port, 20)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(10)


@contextlib.contextmanager
def running_broker(port: int = 0) -> Iterator[Broker]:
    """Start a broker with a directory of its own, and stop it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="pk"))
    broker = Broker(directory, port)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(directory)
