"""Store of AI results: the interface, and the implementation in the database.

With `mongodb_url`, results are documents in MongoDB (`mongo_results`). A result has the id of the job that made it, so
an implementation stores each result once. It deletes results when `forget` reports that their file was deleted.
"""

from collections.abc import Sequence
from typing import Protocol

from control.database import Connection, Pool
from control.store import ai_results
from control.store.ai_results import AiResult

KINDS = frozenset({"asr", "emotion", "synthesis"})
"""The kinds of jobs whose results are kept."""


class AiResults(Protocol):
    """Store of results. Its methods raise OSError if it does not answer, ValueError if it cannot store a document."""

    async def keep(self, connection: Connection, result: AiResult) -> None:
        """Store a result; repeating an id changes nothing.

        `connection` is in the transaction that ends the job. An exception rolls it back, and the job runs again later.
        """

    async def about(self, file: str) -> list[AiResult]:
        """Return the results of a file, oldest first."""

    async def forget(self, files: Sequence[str]) -> None:
        """Delete the results of files that were deleted."""

    async def files(self) -> list[str]:
        """Return the files that have results, if results can outlive their files."""

    async def trouble(self) -> str | None:
        """Return why the store does not answer, or None if it does."""

    async def close(self) -> None:
        """Close open connections."""


class DatabaseResults:
    """Results as rows that are deleted with their file's row."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, connection: Connection, result: AiResult) -> None:
        await ai_results.add(connection, result)

    async def about(self, file: str) -> list[AiResult]:
        async with self._pool.acquire() as connection:
            return await ai_results.of_file(connection, file)

    async def forget(self, files: Sequence[str]) -> None:
        """Do nothing: deleting a file's row deletes the rows of its results."""

    async def files(self) -> list[str]:
        """Return nothing: no result outlives its file."""
        return []

    async def trouble(self) -> str | None:
        """Return None: the database is checked separately."""
        return None

    async def close(self) -> None:
        """Do nothing: the pool is closed by its owner."""
