"""Probe of the database through a separate session, since a busy pool says nothing about the database."""

import asyncio

import asyncpg

from control.database import UNAVAILABLE, connect

_GIVE_UP_SECONDS = 5.0


class DatabaseProbe:
    """Probe that keeps one session and opens a new one when it is lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._session: asyncpg.Connection[asyncpg.Record] | None = None

    async def ask(self) -> str | None:
        """Return why the database cannot be used, or None if it answers."""
        try:
            if self._session is None or self._session.is_closed():
                self._session = await connect(
                    self._dsn, timeout=_GIVE_UP_SECONDS, server_settings={"application_name": "parley-probe"}
                )
            # An outer timeout: a query's own timeout asks the server to cancel, and waits for the answer.
            hung = asyncio.get_running_loop().call_later(_GIVE_UP_SECONDS, self.close)
            try:
                await self._session.fetchval("SELECT 1")
            finally:
                hung.cancel()
        except UNAVAILABLE:
            self.close()
            return "does not answer"
        return None

    def close(self) -> None:
        """Drop the session without closing it properly, since the server may not answer."""
        if self._session is not None:
            self._session.terminate()
            self._session = None
