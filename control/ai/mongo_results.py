"""AI results as documents in MongoDB (the optional extra `mongodb`).

A document's `_id` is the id of its job, so a job that runs twice leaves one document. If MongoDB was unreachable when a
file was deleted, `files` finds its documents, and they are deleted later.
"""

import logging
from collections.abc import Sequence
from typing import Any

from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError, WriteError

from control.database import Connection
from control.store.ai_results import AiResult
from foundation.failures import describe

_log = logging.getLogger(__name__)
_ANSWER_MS = 2000
_COLLECTION = "ai_results"


class MongoResults:
    """Connect to the database that `url` names (`mongodb://host/name`), by default `parley`."""

    def __init__(self, url: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            url,
            timeoutMS=_ANSWER_MS,  # for a call, including its retries
            serverSelectionTimeoutMS=_ANSWER_MS,
            connectTimeoutMS=_ANSWER_MS,
            tz_aware=True,
            appname="parley",
        )
        self._results = self._client.get_default_database("parley")[_COLLECTION]
        self._indexed = False

    async def keep(self, connection: Connection, result: AiResult) -> None:
        """Store a result; repeating an id changes nothing.

        Raises OSError if MongoDB does not answer, ValueError if BSON cannot hold the document: above 16 MB, or with
        numbers, keys or characters that it does not support.
        """
        document = {
            "file": result.file_id,
            "task": result.task,
            "document": result.result,
            "created_at": result.created_at,
        }
        try:
            await self._index()
            await self._results.update_one({"_id": result.id}, {"$setOnInsert": document}, upsert=True)
        except (BSONError, OverflowError, UnicodeError, WriteError) as error:
            raise ValueError(f"MongoDB cannot store the document: {describe(error)[:300]}") from error
        except PyMongoError as error:
            raise OSError(f"MongoDB: {describe(error)}") from error

    async def about(self, file: str) -> list[AiResult]:
        """Return the results of a file, oldest first. Raises OSError if MongoDB does not answer."""
        try:
            found = await self._results.find({"file": file}).sort("created_at", 1).to_list()
        except PyMongoError as error:
            raise OSError(f"MongoDB: {describe(error)}") from error
        return [AiResult(one["_id"], one["file"], one["task"], one["document"], one["created_at"]) for one in found]

    async def forget(self, files: Sequence[str]) -> None:
        """Delete the results of deleted files; while MongoDB is unreachable, they are left for the periodic cleanup."""
        if not files:
            return
        try:
            await self._results.delete_many({"file": {"$in": list(files)}})
        except PyMongoError as error:
            _log.warning(
                "cannot delete the results of %d deleted files; retrying later: %s", len(files), describe(error)
            )

    async def files(self) -> list[str]:
        """Return the files that have results. Raises OSError if MongoDB does not answer."""
        try:
            # `distinct` fails above 16 MB, and some compatible servers refuse its timeout.
            found = await self._results.aggregate([{"$group": {"_id": "$file"}}])
            return [str(one["_id"]) for one in await found.to_list()]
        except PyMongoError as error:
            raise OSError(f"MongoDB: {describe(error)}") from error

    async def trouble(self) -> str | None:
        """Return why MongoDB does not answer, or None if it does."""
        try:
            await self._client.admin.command("ping")
        except (OperationFailure, ConfigurationError) as error:
            return f"refuses: {_told(error)}"
        except PyMongoError:
            return "does not answer"
        return None

    async def close(self) -> None:
        await self._client.close()

    async def _index(self) -> None:
        if not self._indexed:
            await self._results.create_index([("file", 1), ("created_at", 1)])
            self._indexed = True


def _told(error: PyMongoError) -> str:
    """Return the server's own message, if it sent one."""
    details = error.details if isinstance(error, OperationFailure) else None
    return str((details or {}).get("errmsg") or describe(error))[:200]
