"""The embedded PostgreSQL restarts after everything was killed, even if its process id was reused."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parley import embedded_postgres
from parley.embedded_postgres import EmbeddedPostgres
from tests.support.waiting import until


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="pe") as directory:
        made = EmbeddedPostgres(data=Path(directory) / "data", socket_directory=Path(directory) / "s")
        made.prepare()
        yield made


@contextlib.contextmanager
def started(cluster: EmbeddedPostgres) -> Iterator["subprocess.Popen[bytes]"]:
    """The server, until it is killed."""
    cluster.prepare()
    server = subprocess.Popen(
        [*cluster.command(), "-c", "fsync=off"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=False
    )
    try:

        def is_ready() -> bool:
            if server.poll() is not None:
                raise AssertionError(server.stderr.read() if server.stderr else "")
            return cluster.is_ready()

        until(is_ready, 60)
        yield server
    finally:
        server.send_signal(signal.SIGQUIT)
        server.communicate(timeout=30)


def name_a_living_process(lock: Path) -> None:
    _, rest = lock.read_text().split("\n", 1)
    lock.write_text(f"{os.getppid()}\n{rest}")


def empty(lock: Path) -> None:
    lock.write_text("")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_without_user_namespaces_has_its_data_below_a_closed_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded_postgres, "_user_namespaces_work", lambda: False)
    with tempfile.TemporaryDirectory(prefix="pe") as directory:
        made = EmbeddedPostgres(data=Path(directory) / "data", socket_directory=Path(directory) / "s")
        with started(made) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid == made.data.stat().st_uid != 0
            made.create_database()


@pytest.mark.parametrize("spoil", [name_a_living_process, empty])
def test_lock_files_that_a_killed_server_left_do_not_keep_it_from_starting(
    cluster: EmbeddedPostgres, spoil: Callable[[Path], None]
) -> None:
    locks = [cluster.data / "postmaster.pid", cluster.socket_directory / ".s.PGSQL.5432.lock"]
    with started(cluster) as server:
        left = [lock.read_text() for lock in locks]
    assert server.returncode is not None
    for lock, text in zip(locks, left, strict=True):
        lock.write_text(text)
        spoil(lock)
    with started(cluster):
        assert [lock.read_text().split()[0] for lock in locks]
