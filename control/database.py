"""Connection pool: JSON columns are decoded by msgspec, and no session waits forever."""

import functools
import operator
from collections.abc import Callable, Hashable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import asyncpg
import msgspec

from foundation.failures import describe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


_LITERAL = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
"""Escapes of LIKE's wildcards, and of the escape character."""


class Unreachable(ConnectionError):
    """The connection could not be opened: nothing listens, a full backlog, no route, or no descriptors left."""


UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,  # the classes of SQLSTATE 08, 40, 53, 57 and 58
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # the server became a standby
    asyncpg.InvalidCachedStatementError,  # the schema was migrated during a transaction
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Errors of a session when the server cannot serve it now: workers wait, requests are answered 503, and both may retry.
Any other
error is a bug."""

Row = TypeVar("Row", bound="DataclassInstance | msgspec.Struct")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def connect(*dsn: Any, **settings: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """Open a session like `asyncpg.connect`; raises Unreachable for every failure below TLS."""
    try:
        return await asyncpg.connect(*dsn, **settings)
    except OSError as error:
        raise Unreachable(describe(error)) from error


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Set up a new session: jsonb columns are Python values."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_encode, decoder=msgspec.json.decode)


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Skip the reset on release: no session state outlives a transaction here."""


async def open_pool(dsn: str, size: int = 10) -> Pool:
    """Return a pool; raises Unreachable or asyncpg.PostgresError if the database does not answer."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        connect=connect,
        init=prepare,
        reset=_keep,
        command_timeout=30,
        timeout=10,
        server_settings={
            "application_name": "parley-control",
            "idle_in_transaction_session_timeout": "60000",
            "timezone": "UTC",
        },
    )


@functools.cache
def _columns(kind: Any) -> Callable[[asyncpg.Record], tuple[Any, ...]]:
    if issubclass(kind, msgspec.Struct):
        return operator.itemgetter(*kind.__struct_fields__)
    return operator.itemgetter(*(field.name for field in fields(kind)))


def load(kind: type[Row], record: asyncpg.Record) -> Row:
    """Return the dataclass or Struct of the columns that it names. Others are ignored, so that the schema can grow.

    A frozen Struct is created 15 times as fast as a frozen dataclass: use it for rows that are read by the page.
    """
    return kind(*_columns(cast(Hashable, kind))(record))


def load_one(kind: type[Row], record: asyncpg.Record | None) -> Row | None:
    """Return the result of `load`, None for no row."""
    return None if record is None else load(kind, record)


def contains(text: str) -> str:
    """Return the LIKE pattern that matches strings containing `text`."""
    return f"%{text.translate(_LITERAL)}%"
