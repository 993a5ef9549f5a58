"""Connection pool: JSON columns are decoded by msgspec, and no session waits forever."""

import functools
import operator
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import asyncpg
import msgspec

from foundation import tracing
from foundation.failures import describe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


_LITERAL = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
"""Escapes of LIKE's wildcards, and of the escape character."""


class Unreachable(ConnectionError):
    """The connection could not be opened: no listener, a full backlog, no route, or no file descriptors left."""


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
"""Errors that mean that the server cannot serve a session now. Workers wait and retry; requests are answered with 503.

Any other error is a bug.
"""

Value = TypeVar("Value")
Row = TypeVar("Row", bound="DataclassInstance | msgspec.Struct")


@functools.cache
def _insertion(table: str, columns: tuple[str, ...], then: str) -> str:
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) {then}"  # noqa: S608  names in the code


class Connection(asyncpg.Connection):
    """A session that returns rows as dataclasses or Structs."""

    async def all(self, kind: type[Row], query: str, *values: Any) -> list[Row]:
        """Return every row of a query."""
        return [load(kind, record) for record in await self.fetch(query, *values)]

    async def one(self, kind: type[Row], query: str, *values: Any) -> Row | None:
        """Return the first row of a query, or None if there is none."""
        record = await self.fetchrow(query, *values)
        return None if record is None else load(kind, record)

    async def new(self, kind: type[Row], query: str, *values: Any) -> Row:
        """Return the row of a statement that always has one."""
        record = await self.fetchrow(query, *values)
        assert record is not None
        return load(kind, record)

    async def value(self, kind: Callable[[Any], Value], query: str, *values: Any) -> Value:
        """Return the first value of a query, converted."""
        return kind(await self.fetchval(query, *values))

    async def column(self, query: str, *values: Any) -> list[Any]:
        """Return the first column of a query."""
        return [record[0] for record in await self.fetch(query, *values)]

    async def change(self, query: str, *values: Any) -> bool:
        """Execute a statement and return whether it changed a row."""
        return not (await self.execute(query, *values)).endswith(" 0")

    async def insert(self, table: str, /, then: str = "", **columns: Any) -> bool:
        """Insert a row with these columns, end the statement with `then`, and return whether it changed a row."""
        return await self.change(_insertion(table, tuple(columns), then), *columns.values())

    async def insert_new(self, kind: type[Row], table: str, /, then: str = "", **columns: Any) -> Row:
        """Insert a row and return it as stored, with its defaults."""
        return await self.new(kind, _insertion(table, tuple(columns), f"{then} RETURNING *"), *columns.values())


class Pool(Protocol):
    """The part of asyncpg's pool that we use, with sessions of our class."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def connect(*dsn: Any, **settings: Any) -> Connection:
    """Open a session like `asyncpg.connect`; raises Unreachable for every failure below TLS."""
    try:
        return cast(Connection, await asyncpg.connect(*dsn, **{"connection_class": Connection} | settings))
    except OSError as error:
        raise Unreachable(describe(error)) from error


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Set up a new session: jsonb columns are converted to Python values."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_encode, decoder=msgspec.json.decode)


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Skip the reset on release: no session state outlives a transaction here."""


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Connection]:
    """Open a session for one operator command; raises asyncpg's errors and OSError."""
    connection = cast(Connection, await asyncpg.connect(dsn, connection_class=Connection, timeout=10))
    try:
        await prepare(connection)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def sole_session(dsn: str, lock: int, name: str) -> AsyncIterator[Connection]:
    """Open a session and wait until it holds an advisory lock. Operators see the session under `name`."""
    connection = await connect(dsn, timeout=10, server_settings={"application_name": name})
    try:
        await prepare(connection)
        await connection.execute("SELECT pg_advisory_lock($1)", lock, timeout=None)
        yield connection
    finally:
        # Not close(), which waits for a server that may have vanished during a statement.
        connection.terminate()


async def open_pool(dsn: str, size: int = 10) -> Pool:
    """Return a pool; raises Unreachable or asyncpg.PostgresError if the database does not answer."""
    pool = await asyncpg.create_pool(
        dsn,
        connection_class=Connection,
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
    return TracedPool(cast(Pool, pool))


class TracedPool:
    """A pool whose sessions are recorded as spans of the current trace."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.close, self.terminate = pool.close, pool.terminate

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        return self._traced() if tracing.current() else self._pool.acquire()

    @asynccontextmanager
    async def _traced(self) -> AsyncIterator[Connection]:
        with tracing.step("postgresql", {"db.system.name": "postgresql"}):
            async with self._pool.acquire() as connection:
                yield connection


@functools.cache
def _columns(kind: Any) -> Callable[[asyncpg.Record], tuple[Any, ...]]:
    if issubclass(kind, msgspec.Struct):
        return operator.itemgetter(*kind.__struct_fields__)
    return operator.itemgetter(*(field.name for field in fields(kind)))


def load(kind: type[Row], record: asyncpg.Record) -> Row:
    """Return a dataclass or Struct filled from the columns that it names. It ignores others, so the schema can grow.

    A frozen Struct is created 15 times as fast as a frozen dataclass: use a Struct for rows that are read a page at a
    time.
    """
    return kind(*_columns(cast(Hashable, kind))(record))


def contains(text: str) -> str:
    """Return the LIKE pattern that matches strings containing `text`."""
    return f"%{text.translate(_LITERAL)}%"
