"""PostgreSQL as operators have it: a primary and a standby that streams from it, on ports of the loopback."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from parley.embedded_postgres import DATABASE, EmbeddedPostgres, binaries
from parley.network import allocate_port
from tests.support.waiting import until_up


class PostgresServer:
    """A server on a port of its own; anybody on this machine may connect."""

    def __init__(self, directory: Path, name: str) -> None:
        self.port = allocate_port()
        self._cluster = EmbeddedPostgres(data=directory / name, socket_directory=directory / f"{name[0]}s")
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self._cluster.data

    def start(self) -> None:
        """Start, and wait until it answers queries."""
        self._cluster.prepare()
        command = [*self._cluster.command(), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until_up(self._process, lambda: self.ask("SELECT 1", "postgres") == "1", self._log)

    def ask(self, query: str, database: str = DATABASE) -> str:
        """Return the first value of a query, "" if the server does not answer."""
        at = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        done = subprocess.run(
            [binaries() / "psql", *at, "-At", "-c", query], check=False, capture_output=True, text=True
        )
        return done.stdout.strip()

    def copy(self, primary: "PostgresServer") -> None:
        """Make this server a standby: what `pg_basebackup -R` writes streams from the primary once it is started."""
        at = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        backup = [binaries() / "pg_basebackup", *at, "-D", str(self.data), "-R", "-c", "fast"]
        subprocess.run(backup, check=True, capture_output=True, timeout=120)

    def promote(self) -> None:
        """Do what the operator does."""
        subprocess.run(
            [*self._cluster.program("pg_ctl"), "promote", "-D", str(self.data)], check=True, capture_output=True
        )

    def crash(self) -> None:
        """End at once, as by a loss of power."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(30)


@contextlib.contextmanager
def postgres_pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Run a primary with an empty database, and its standby."""
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    primary, standby = PostgresServer(directory, "primary"), PostgresServer(directory, "standby")
    try:
        primary.start()
        primary.ask(f"CREATE DATABASE {DATABASE}", "postgres")
        standby.copy(primary)
        standby.start()
        yield primary, standby
    finally:
        standby.close()
        primary.close()
        shutil.rmtree(directory, ignore_errors=True)
