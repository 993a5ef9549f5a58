"""A broker on a free port: Apache Kafka if it is there (`make real`), else noida-db, which speaks its protocol."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from parley.network import allocate_port
from tests.support import apache_kafka
from tests.support.waiting import until, until_listening


class Broker(Protocol):
    """A broker that can be stopped and restarted, at the same address and with its records."""

    @property
    def address(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None:
        """Stop; return when clients cannot reach it and all acknowledged records are stored."""


class EmulatedBroker:
    """noida-db, stopped and started as a service within a process that keeps running.

    If a signal ended it, it would acknowledge records for up to another second and forget them, which a broker that
    acknowledges for all replicas must not do.
    """

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
def running_broker() -> Iterator[Broker]:
    """Start a broker with its own directory, and stop it at the end."""
    with contextlib.ExitStack() as running:
        if apache_kafka.is_installed():
            yield running.enter_context(apache_kafka.running_kafka()).brokers[0]
        else:
            yield running.enter_context(_emulated())


@contextlib.contextmanager
def _emulated() -> Iterator[EmulatedBroker]:
    directory, port = Path(tempfile.mkdtemp(prefix="pk")), allocate_port()
    process = subprocess.Popen(
        [str(_program()), "start", "--data-dir", str(directory), "--only", "kafka", "--kafka-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until_listening(process, port, 20)
        yield EmulatedBroker(directory, process, port)
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
