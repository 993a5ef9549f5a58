"""Progress of each bus in the outbox, and the events that it refused."""

from dataclasses import dataclass
from typing import Protocol

from control.database import Connection
from control.store.outbox import Event


@dataclass(frozen=True, slots=True)
class Held:
    """An event that its bus refused. It is retried after `seconds`, or never if that is None (a dead letter).

    `counts` is false if it was not refused but is in transit or waiting for others.
    """

    event: int
    reason: str | None
    seconds: float | None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Waiting:
    """Backlog of a bus: the number of events, and the age of the oldest in seconds."""

    events: int
    oldest_seconds: float


class Place(Protocol):
    """Progress of one bus."""

    name: str
    lock: int
    """Number of the session advisory lock that admits one process at a time."""

    async def next(self, connection: Connection, limit: int) -> list[Event]:
        """Return the oldest events that may be offered; those of each key are in order and without gaps."""

    async def pass_by(self, connection: Connection, events: list[int]) -> list[str]:
        """Mark events as delivered to the bus; return their topics."""

    async def hold(self, connection: Connection, held: list[Held]) -> None:
        """Hold back events, and those behind them under the same key, for a while."""

    async def blame(self, connection: Connection, reason: str) -> None:
        """Record the reason for a standstill with the oldest waiting event."""

    async def reason(self, connection: Connection) -> str | None:
        """Return why the oldest refused event is waiting, or None if there is no such event."""

    async def waiting(self, connection: Connection) -> Waiting:
        """Return the backlog."""


class KafkaPlace:
    """Progress of Kafka."""

    name = "kafka"
    lock = 0x6F7574626F78  # "outbox"

    async def next(self, connection: Connection, limit: int) -> list[Event]:
        return await connection.all(
            Event,
            "WITH held AS MATERIALIZED (SELECT key, min(id) AS id FROM outbox"
            "   WHERE published_at IS NULL AND retry_at > now() GROUP BY key)"
            " SELECT o.* FROM outbox o LEFT JOIN held h ON h.key = o.key"
            " WHERE o.published_at IS NULL AND (h.id IS NULL OR o.id < h.id) ORDER BY o.id LIMIT $1",
            limit,
        )

    async def pass_by(self, connection: Connection, events: list[int]) -> list[str]:
        query = (
            "UPDATE outbox SET published_at = now(), retry_at = NULL, reason = NULL WHERE id = ANY($1) RETURNING topic"
        )
        return [row["topic"] for row in await connection.fetch(query, events)]

    async def hold(self, connection: Connection, held: list[Held]) -> None:
        await connection.execute(
            "UPDATE outbox o SET reason = coalesce(h.reason, o.reason),"
            " attempts = o.attempts + h.counts::int,"
            " retry_at = now() + make_interval(secs => h.seconds),"
            " published_at = CASE WHEN h.seconds IS NULL THEN now() END"
            " FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::bool[]) AS h (id, reason, seconds, counts)"
            " WHERE o.id = h.id AND o.published_at IS NULL",
            [one.event for one in held],
            [one.reason for one in held],
            [one.seconds for one in held],
            [one.counts for one in held],
        )

    async def blame(self, connection: Connection, reason: str) -> None:
        await connection.execute(
            "UPDATE outbox SET reason = $1 WHERE id ="
            " (SELECT id FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1)",
            reason,
        )

    async def reason(self, connection: Connection) -> str | None:
        found: str | None = await connection.fetchval(
            "SELECT reason FROM outbox WHERE published_at IS NULL AND reason IS NOT NULL ORDER BY id LIMIT 1"
        )
        return found

    async def waiting(self, connection: Connection) -> Waiting:
        return await _waiting(connection, "published_at IS NULL")


class WebhooksPlace:
    """Progress of webhooks. If they are the only bus, a delivered event counts as published."""

    name = "webhooks"
    lock = 0x776562686F6F  # "webhoo"

    def __init__(self, *, alone: bool) -> None:
        self._open = "enqueued_at IS NULL OR published_at IS NULL" if alone else "enqueued_at IS NULL"
        self._done = "enqueued_at = now()" + (", published_at = now()" if alone else "")

    async def next(self, connection: Connection, limit: int) -> list[Event]:
        query = f"SELECT * FROM outbox WHERE {self._open} ORDER BY id LIMIT $1"  # noqa: S608  constants
        return await connection.all(Event, query, limit)

    async def pass_by(self, connection: Connection, events: list[int]) -> list[str]:
        query = f"UPDATE outbox SET {self._done} WHERE id = ANY($1) RETURNING topic"  # noqa: S608  constants
        return [row["topic"] for row in await connection.fetch(query, events)]

    async def hold(self, connection: Connection, held: list[Held]) -> None:
        """Do nothing: no delivery is refused; the database enqueues all or is unreachable."""

    async def blame(self, connection: Connection, reason: str) -> None:
        """Do nothing: the database is checked separately."""

    async def reason(self, connection: Connection) -> str | None:
        """Return None: no delivery is refused."""
        return None

    async def waiting(self, connection: Connection) -> Waiting:
        return await _waiting(connection, self._open)


async def _waiting(connection: Connection, those: str) -> Waiting:
    figures = "count(*) AS events, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS seconds"
    row = await connection.fetchrow(f"SELECT {figures} FROM outbox WHERE {those}")  # noqa: S608  constants
    assert row is not None
    return Waiting(row["events"], float(row["seconds"]))


@dataclass(frozen=True, slots=True)
class Places:
    """Progress of the configured buses."""

    webhooks: Place
    kafka: Place | None

    def all(self) -> list[Place]:
        return [self.webhooks] if self.kafka is None else [self.webhooks, self.kafka]


def places(*, kafka: bool) -> Places:
    """Return the progress of webhooks, and of Kafka if configured."""
    return Places(WebhooksPlace(alone=not kafka), KafkaPlace() if kafka else None)


async def dead_letters(connection: Connection, limit: int, after: int = 0) -> list[Event]:
    """Return the oldest dead letters whose id is above `after`."""
    return await connection.all(
        Event,
        "SELECT * FROM outbox WHERE published_at IS NOT NULL AND reason IS NOT NULL AND id > $2 ORDER BY id LIMIT $1",
        limit,
        after,
    )


async def revive(connection: Connection, event: int) -> None:
    """Record that a dead letter was published after all."""
    await connection.execute("UPDATE outbox SET reason = NULL, published_at = now() WHERE id = $1", event)


async def forget_old(connection: Connection) -> None:
    """Delete events that every bus received more than a week ago."""
    await connection.execute(
        "DELETE FROM outbox WHERE published_at < now() - interval '7 days' AND enqueued_at IS NOT NULL"
    )
