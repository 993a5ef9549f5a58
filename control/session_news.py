"""Invalidation of the session cache when another process changed a session or an account.

PostgreSQL notifies at commit (migration 14). While the listening connection is lost, entries of control.session_cache
still expire after a second.
"""

import asyncio
import logging

from control.database import UNAVAILABLE, connect
from control.session_cache import SessionCache
from foundation.failures import describe

_LOG = logging.getLogger(__name__)
_CHANNEL = "sessions_changed"
_PAUSE_SECONDS = 1.0
_ALIVE_SECONDS = 5.0


async def run(dsn: str, sessions: SessionCache) -> None:
    """Listen until cancelled; wait out a lost database."""
    while True:
        try:
            await _listen(dsn, sessions)
        except UNAVAILABLE as error:
            _LOG.warning("news of sessions is waiting for the database: %s", describe(error))
            await asyncio.sleep(_PAUSE_SECONDS)


async def _listen(dsn: str, sessions: SessionCache) -> None:
    connection = await connect(dsn, timeout=10, server_settings={"application_name": "parley-sessions"})
    try:
        await connection.add_listener(_CHANNEL, lambda *_: sessions.clear())
        sessions.clear()  # changes while nobody listened
        while True:
            await asyncio.sleep(_ALIVE_SECONDS)
            await connection.execute("SELECT 1", timeout=_ALIVE_SECONDS)
    finally:
        # Not close(): that talks to a server which may be gone.
        connection.terminate()
