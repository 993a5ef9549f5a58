"""An unavailable database is answered with 503, however it fails; our own bugs are not."""

import asyncio
import contextlib
import errno
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import uvloop

from control.database import UNAVAILABLE, connect
from control.http.problem_handlers import response_to


@pytest.fixture
def full_backlog(tmp_path: Path) -> Iterator[str]:
    """A DSN whose socket takes no further connection."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        path = str(tmp_path / ".s.PGSQL.5432")
        listening.bind(path)
        listening.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(path)
        yield f"postgresql://postgres@/parley?host={tmp_path}"


async def told(error: Exception) -> tuple[int, str]:
    response = response_to(error)
    return response.status_code, json.loads(await response.get_data())["code"]


async def test_a_full_backlog_is_a_database_that_is_away(full_backlog: str) -> None:
    async def attempt() -> None:
        await connect(full_backlog, timeout=10)

    with pytest.raises(UNAVAILABLE) as raised:
        await asyncio.to_thread(uvloop.run, attempt())  # the loop that control has
    assert isinstance(raised.value.__cause__, BlockingIOError)
    assert await told(raised.value) == (503, "database")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (asyncpg.AdminShutdownError("x"), 503, "database"),
        (asyncpg.CrashShutdownError("x"), 503, "database"),
        (asyncpg.DeadlockDetectedError("x"), 503, "database"),
        (asyncpg.InvalidCachedStatementError("x"), 503, "database"),
        (asyncpg.ReadOnlySQLTransactionError("x"), 503, "database"),
        (asyncpg.TooManyConnectionsError("x"), 503, "database"),
        (TimeoutError(), 503, "database"),
        (asyncpg.DiskFullError("x"), 507, "no_space"),
        (OSError(errno.ENOSPC, "x"), 507, "no_space"),
        (OSError(errno.EDQUOT, "x"), 507, "no_space"),
        (asyncpg.UniqueViolationError("x"), 500, "internal"),
        (FileNotFoundError("x"), 500, "internal"),
        (ValueError("x"), 500, "internal"),
    ],
)
async def test_failures_by_what_they_mean(error: Exception, status: int, code: str) -> None:
    assert await told(error) == (status, code)
