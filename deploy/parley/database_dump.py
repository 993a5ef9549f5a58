"""Dump and restore of the database by PostgreSQL's own programs: those of the embedded server, or those in PATH."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

from parley.backup_archive import BackupError
from parley.child import dying_with_parent
from parley.embedded_postgres import EmbeddedPostgres, PostgresUnavailable, binaries

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PIECE = 1 << 20


def dump(dsn: str) -> Iterator[bytes]:
    """Yield a consistent dump, even while others write. Raises BackupError."""
    command, environment = call("pg_dump", dsn, "--format=custom", "--no-owner", "--no-privileges", "--no-comments")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        try:
            while piece := running.stdout.read(_PIECE):
                yield piece
        except GeneratorExit:
            running.kill()
            raise
        said = running.stderr.read().decode(errors="replace").strip()
    if running.returncode != 0:
        raise BackupError(f"pg_dump failed: {said}")


def restore(dsn: str, path: Path) -> None:
    """Restore a dump into an empty database, all or nothing. Raises BackupError."""
    command, environment = call("pg_restore", dsn, "--no-owner", "--no-privileges", "--single-transaction")
    done = subprocess.run([*command, str(path)], env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BackupError(f"pg_restore failed: {done.stderr.strip()}")


async def migrations(dsn: str) -> list[str]:
    """Return the names of the migrations applied to a database. Raises OSError and asyncpg's errors."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT number, name FROM schema_migrations ORDER BY number")
        return [f"{row['number']:04}_{row['name']}" for row in rows]
    finally:
        await connection.close()


async def tables(dsn: str) -> int:
    """Return how many tables a database has. Raises OSError and asyncpg's errors."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
    finally:
        await connection.close()


@contextlib.contextmanager
def running(cluster: EmbeddedPostgres) -> Iterator[None]:
    """Run the embedded server, created if it is missing, with its database. Raises BackupError."""
    try:
        cluster.prepare()
        server = subprocess.Popen(
            dying_with_parent(cluster.command(), signal.SIGINT), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except (PostgresUnavailable, OSError) as error:
        raise BackupError(str(error)) from error
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not cluster.is_ready():
            if server.poll() is not None or time.monotonic() > deadline:
                raise BackupError(f"the embedded PostgreSQL in {cluster.data} does not start")
            time.sleep(0.05)
        cluster.create_database()
        yield
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def call(name: str, dsn: str, *options: str) -> tuple[list[str], dict[str, str]]:
    """Return argv and environment of a program. Other users can read argv, so the password is in the environment."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    login, at, place = parts.netloc.rpartition("@")
    user, colon, encoded = login.partition(":")
    password = query.pop("password", unquote(encoded) if colon else None)
    address = urlunsplit((parts.scheme, f"{user}{at}{place}", parts.path, urlencode(query), ""))
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = password
    return [_program(name), f"--dbname={address}", *options], environment


def _program(name: str) -> str:
    """Return the path of a program. Raises BackupError."""
    with contextlib.suppress(PostgresUnavailable):
        own = binaries() / name
        if own.exists():
            return str(own)
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"{name} is missing: install the PostgreSQL client (postgresql-client)")
    return found
