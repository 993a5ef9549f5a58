"""Webhooks and their deliveries."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection
from control.store.outbox import Event
from control.store.window import Window, rows

DeliveryState = Literal["waiting", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class WebhookRow:
    id: str
    user_id: str
    url: str
    secret: str
    kinds: list[str]
    all_meetings: bool
    created_at: datetime
    livekit_key: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    id: int
    kind: str
    body: str
    state: DeliveryState
    attempts: int
    next_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery claimed by this process. `attempts` includes the current one.

    With a `livekit_key`, it has the form of LiveKit's webhooks and is signed with that key's secret.
    """

    id: int
    kind: str
    body: str
    attempts: int
    url: str
    secret: str
    user_id: str
    livekit_key: str | None = None
    old_secret: str | None = None
    """The previous secret, while receivers may still use it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of an attempt. If `state` is waiting, the delivery is retried after `retry_seconds`."""

    state: DeliveryState
    status: int | None
    error: str | None
    retry_seconds: int


async def create(connection: Connection, row: WebhookRow) -> None:
    await connection.insert("webhooks", **asdict(row))


async def of_user(connection: Connection, user: str) -> list[WebhookRow]:
    return await connection.all(WebhookRow, "SELECT * FROM webhooks WHERE user_id = $1 ORDER BY created_at DESC", user)


async def own(connection: Connection, user: str, webhook: str) -> WebhookRow | None:
    return await connection.one(WebhookRow, "SELECT * FROM webhooks WHERE id = $1 AND user_id = $2", webhook, user)


async def delete(connection: Connection, webhook: str) -> None:
    await connection.execute("DELETE FROM webhooks WHERE id = $1", webhook)


async def any_for_livekit(connection: Connection) -> bool:
    """Return whether any webhook has the form of LiveKit's."""
    return await connection.value(bool, "SELECT EXISTS (SELECT FROM webhooks WHERE livekit_key IS NOT NULL)")


async def enqueue(
    connection: Connection, events: Sequence[Event], bodies: Sequence[str], for_livekit: Sequence[str | None]
) -> None:
    """Enqueue a delivery of an event to every subscribed webhook; a repeated event enqueues none.

    `for_livekit` are the bodies in LiveKit's form, None for events that have none.
    """
    await connection.execute(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, kind, body)"
        " SELECT w.id, e.id, e.kind, CASE WHEN w.livekit_key IS NULL THEN e.body ELSE e.theirs END"
        " FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])"
        " AS e (id, kind, meeting, body, theirs)"
        " JOIN webhooks w ON (e.kind = ANY(w.kinds) OR '*' = ANY(w.kinds))"
        " AND (w.livekit_key IS NULL OR e.theirs IS NOT NULL)"
        " AND (w.all_meetings OR EXISTS"
        "   (SELECT FROM meetings m WHERE m.id = e.meeting AND m.host_id = w.user_id))"
        " ORDER BY e.id ON CONFLICT (webhook_id, event_id) DO NOTHING",
        [event.id for event in events],
        [event.kind for event in events],
        [event.meeting_id for event in events],
        bodies,
        for_livekit,
    )


async def enqueue_test(connection: Connection, webhook: WebhookRow) -> None:
    """Enqueue a delivery of a `webhook.test` event. Its id is negative, since it is not in the outbox."""
    await connection.execute("SELECT FROM webhooks WHERE id = $1 FOR UPDATE", webhook.id)
    await connection.execute(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, kind, body)"
        " SELECT $1, n, 'webhook.test',"
        "  jsonb_build_object('id', n, 'kind', 'webhook.test', 'v', 1, 'seq', 0, 'at', now(),"
        "   'data', jsonb_build_object('webhook', $1::text))::text"
        " FROM (SELECT LEAST(min(event_id), 0) - 1 AS n FROM webhook_deliveries WHERE webhook_id = $1) AS next",
        webhook.id,
    )


async def claim(connection: Connection, limit: int, of_one: int, busy: Sequence[str], lease_seconds: int) -> list[Due]:
    """Claim due deliveries, in order, for a time in which no other process can claim them.

    Claims at most `of_one` per account, and none of `busy` accounts.
    """
    claimed = await connection.all(
        Due,
        "WITH due AS (SELECT f.id FROM (SELECT DISTINCT user_id FROM webhooks WHERE user_id <> ALL($3::text[])) u"
        "  CROSS JOIN LATERAL (SELECT d.id FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id"
        "    WHERE w.user_id = u.user_id AND d.state = 'waiting' AND d.next_at <= now()"
        "    ORDER BY d.id LIMIT $2 FOR UPDATE OF d SKIP LOCKED) f ORDER BY f.id LIMIT $1)"
        " UPDATE webhook_deliveries d SET attempts = attempts + 1, next_at = now() + make_interval(secs => $4)"
        " FROM due, webhooks w WHERE d.id = due.id AND w.id = d.webhook_id"
        " RETURNING d.id, d.kind, d.body, d.attempts, w.url, w.secret, w.user_id,"
        " w.livekit_key, CASE WHEN w.old_secret_until > now() THEN w.old_secret END AS old_secret",
        limit,
        of_one,
        busy,
        lease_seconds,
    )
    return sorted(claimed, key=lambda due: due.id)


async def settle(connection: Connection, due: Due, outcome: Outcome) -> None:
    """Store an attempt's outcome, unless a later attempt has started meanwhile."""
    await connection.execute(
        "UPDATE webhook_deliveries SET state = $3, last_status = $4, last_error = $5,"
        " next_at = now() + make_interval(secs => $6), delivered_at = CASE WHEN $3 = 'delivered' THEN now() END"
        " WHERE id = $1 AND attempts = $2",
        due.id,
        due.attempts,
        outcome.state,
        outcome.status,
        outcome.error,
        outcome.retry_seconds,
    )


async def replace_secret(connection: Connection, webhook: str, secret: str, overlap_seconds: int) -> None:
    """Store a new secret; for a while, deliveries are also signed with the old one."""
    await connection.execute(
        "UPDATE webhooks SET old_secret = secret, old_secret_until = now() + make_interval(secs => $3), secret = $2"
        " WHERE id = $1",
        webhook,
        secret,
        overlap_seconds,
    )


async def deliveries(
    connection: Connection,
    webhook: str,
    window: Window,
    *,
    state: DeliveryState | None = None,
    kind: str | None = None,
) -> list[DeliveryRow]:
    """Return a page of a webhook's deliveries, in this state and of this kind, if any."""
    return await rows(
        connection,
        DeliveryRow,
        "SELECT * FROM webhook_deliveries WHERE webhook_id = $1"
        " AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR kind = $3)",
        window,
        webhook,
        state,
        kind,
    )


async def replay_failed(connection: Connection, webhook: str) -> int:
    """Make all failed deliveries due again; return their number."""
    done = await connection.execute(
        "UPDATE webhook_deliveries SET state = 'waiting', next_at = now(), attempts = 0"
        " WHERE webhook_id = $1 AND state = 'failed'",
        webhook,
    )
    return int(done.rpartition(" ")[2])


async def replay(connection: Connection, webhook: str, delivery: int) -> bool:
    """Make a delivery due again; return False if there is none."""
    return await connection.change(
        "UPDATE webhook_deliveries SET state = 'waiting', next_at = now(), attempts = 0"
        " WHERE id = $1 AND webhook_id = $2",
        delivery,
        webhook,
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute(
        "DELETE FROM webhook_deliveries WHERE state <> 'waiting' AND created_at < now() - interval '30 days'"
    )
