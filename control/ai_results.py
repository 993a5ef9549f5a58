"""Where results of understanding a file are kept, as documents: an interface, and the database's own answer to it.

With `mongodb_url` they are kept in a MongoDB (control.mongo_results).

A result has the id of the job that made it. Whoever keeps results elsewhere keeps them once by that id, and forgets
them when `forget` says that their file is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from control.api.types import Time
from control.database import Connection, Pool
from control.store import ai_results
from control.store.ai_results import AiResultRow

KINDS = frozenset({"asr", "emotion", "synthesis"})
"""The kinds of jobs whose results are kept."""


@dataclass(frozen=True, slots=True)
class AiResult:
    """What a job made of a file; `document` holds what JSON can hold."""

    id: str
    file: str
    task: str
    document: Any
    created_at: Time


class AiResults(Protocol):
    """A place for results. Its methods raise OSError when it does not answer, ValueError for what it can never keep."""

    async def keep(self, connection: Connection, result: AiResult) -> None:
        """Keep a result; the same id again changes nothing.

        `connection` is in the transaction that ends the job: raising undoes that, and the job is done again later.
        """

    async def about(self, file: str) -> list[AiResult]:
        """Return the results about a file, the oldest first."""

    async def forget(self, files: Sequence[str]) -> None:
        """Forget the results about files that were deleted."""

    async def files(self) -> list[str]:
        """Return the files that there are results about, as far as results may outlive them."""

    async def trouble(self) -> str | None:
        """Return why the place does not answer, None when it does."""

    async def close(self) -> None:
        """Let go of what is held open."""


class DatabaseResults:
    """Results as rows beside their files', which go with them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, connection: Connection, result: AiResult) -> None:
        row = AiResultRow(result.id, result.file, result.task, result.document, result.created_at)
        await ai_results.add(connection, row)

    async def about(self, file: str) -> list[AiResult]:
        async with self._pool.acquire() as connection:
            rows = await ai_results.of_file(connection, file)
        return [AiResult(row.id, row.file_id, row.task, row.result, row.created_at) for row in rows]

    async def forget(self, files: Sequence[str]) -> None:
        """Nothing is left to do: a file's row takes the rows of its results along."""

    async def files(self) -> list[str]:
        """No result outlives its file."""
        return []

    async def trouble(self) -> str | None:
        """The database is asked for itself."""
        return None

    async def close(self) -> None:
        """Nothing is held but the pool, which is its opener's."""
