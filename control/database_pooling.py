"""Detection of a pooler in transaction mode. Control needs sessions: it holds locks in them and listens for events."""

import asyncpg

from control.database import Unreachable, connect
from foundation.settings import SettingsError

_ADVICE = "database_url leads to a pooler in transaction mode; control needs pool_mode = session"
_PID = "SELECT pg_backend_pid()"


class NoSession(SettingsError):
    """The database is behind a pooler that assigns a server for each transaction only."""


async def check_sessions(dsn: str) -> None:
    """Raise NoSession if two transactions of one connection run in different sessions; OSError without an answer.

    While another connection's transaction keeps the server of the first transaction, a pooler in transaction mode has
    to use another one for the second. A pooler that is busy with others may go unnoticed.
    """
    # Statements without a name, since a pooler gives a name's statement to other connections.
    first = await connect(dsn, timeout=10, statement_cache_size=0)
    try:
        second = await connect(dsn, timeout=10, statement_cache_size=0)
        try:
            async with first.transaction():
                before = await first.fetchval(_PID)
            async with second.transaction():
                await second.fetchval(_PID)
                async with first.transaction():
                    after = await first.fetchval(_PID)
        finally:
            second.terminate()
    except asyncpg.InterfaceError as error:
        raise Unreachable(str(error)) from error
    finally:
        first.terminate()
    if before != after:
        raise NoSession(_ADVICE)
