"""A PostgreSQL server of a single test, which can be stopped, frozen and restarted."""

import signal
import subprocess
import time
from pathlib import Path

from parley.embedded_postgres import EmbeddedPostgres
from tests.support import clusters


class RestartableServer:
    """The PostgreSQL server of a single test."""

    def __init__(self, directory: Path) -> None:
        self.cluster = EmbeddedPostgres(data=directory / "data", socket_directory=directory / "s")
        self._log = (directory / "log").open("ab")
        self._server: subprocess.Popen[bytes] | None = None
        clusters.lay_out(self.cluster.data)
        self.cluster.prepare()

    def start(self) -> None:
        self._server = subprocess.Popen(self.cluster.command(), stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + 20
        while not self.cluster.is_ready():
            assert self._server.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        self.cluster.create_database()

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def stop(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGINT)
        self._server.wait(10)

    def close(self) -> None:
        self._log.close()
