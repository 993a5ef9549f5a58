"""The connection pool: JSON columns are msgspec's, a session never waits for ever."""

import functools
import operator
from collections.abc import Callable, Hashable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import asyncpg
import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

UNAVAILABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What a session raises when the server goes away, at whatever moment: workers wait, and try again."""

Row = TypeVar("Row", bound="DataclassInstance | msgspec.Struct")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Set a new session up: jsonb columns are Python values."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_encode, decoder=msgspec.json.decode)


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Spare the reset at each release: no session state outlives a transaction here."""


async def open_pool(dsn: str, size: int = 10) -> Pool:
    """Return a pool; raises OSError or asyncpg.PostgresError when the database does not answer."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
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
    """Return the dataclass or Struct of the columns that it names; others are ignored, so that a schema can grow.

    A frozen Struct is made in a fifteenth of the time of a frozen dataclass: for rows that come by the page.
    """
    return kind(*_columns(cast(Hashable, kind))(record))


def load_one(kind: type[Row], record: asyncpg.Record | None) -> Row | None:
    """Like `load`, None for no row."""
    return None if record is None else load(kind, record)
