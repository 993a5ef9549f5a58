"""What is left of an account or a meeting in rows that do not hang on it: events, deliveries, the audit log, states.

Events keep their numbers, which consumers count on, and lose what they told. Acts stay in the audit log, without who
did them and whom they were about.
"""

from collections.abc import Iterable
from typing import Any

from control.database import Connection

_NAMED = """jsonb_path_query_array({}, '$.** ? (@.type() == "string")') ?| $1::text[]"""
"""Whether any string in a document is one of these names; as it stands here, each document has an index of them."""


async def events(connection: Connection, names: Iterable[str]) -> None:
    """Empty the events that name any of these."""
    await connection.execute(
        "UPDATE outbox SET payload = jsonb_strip_nulls(jsonb_build_object('meeting', meeting_id, 'erased', true))"  # noqa: S608  constants
        " WHERE " + _NAMED.format("payload"),
        list(names),
    )


async def deliveries(connection: Connection, names: Iterable[str]) -> None:
    """Drop what names any of these and was, or is to be, delivered to webhooks."""
    await connection.execute("DELETE FROM webhook_deliveries WHERE " + _NAMED.format("body::jsonb"), list(names))  # noqa: S608  constants


async def audit(connection: Connection, names: Iterable[str]) -> None:
    """Take these out of the audit log, as actors, targets and details."""
    listed = list(names)
    await connection.execute(
        "UPDATE operation_logs SET actor = NULL, address = '', detail = '{}' WHERE actor = ANY($1::text[])", listed
    )
    await connection.execute("UPDATE operation_logs SET target = NULL WHERE target = ANY($1::text[])", listed)
    await connection.execute(
        "UPDATE operation_logs SET detail = '{}' WHERE " + _NAMED.format("detail"),  # noqa: S608  constants
        listed,
    )


async def invitations(connection: Connection, user: str) -> None:
    """Drop the invitations that were sent to an account's address."""
    await connection.execute(
        "DELETE FROM invitations i USING users u WHERE u.id = $1 AND i.email_key = u.email_key"
        " AND (i.used_at IS NOT NULL OR u.email_verified_at IS NOT NULL)",
        user,
    )


async def account_events(connection: Connection, user: str) -> None:
    """Drop the events of an account, which have no numbers, but for those that say that something was deleted."""
    await connection.execute(
        "DELETE FROM outbox WHERE key = $1 AND meeting_id IS NULL AND kind NOT LIKE '%.deleted'", user
    )


async def of_user(connection: Connection, user: str) -> list[dict[str, Any]]:
    """Return where an account has been: participant, meeting, whether that room is live, and its state names it."""
    rows = await connection.fetch(
        "SELECT p.id AS participant, p.meeting_id AS meeting, EXISTS (SELECT FROM meeting_rooms r"
        "   WHERE r.meeting_id = p.meeting_id AND r.closed_at IS NULL) AS live, EXISTS (SELECT FROM room_state s"
        "   WHERE s.meeting_id = p.meeting_id AND (s.document->'participants' ? p.id OR s.document->'removed' ? p.id"
        "   OR s.document->'elsewhere' ? p.id)) AS named"
        " FROM meeting_participants p WHERE p.user_id = $1 ORDER BY p.meeting_id",
        user,
    )
    return [dict(row) for row in rows]


async def banned_in(connection: Connection, user: str) -> list[str]:
    """Return the meetings that an account is banned from."""
    rows = await connection.fetch(
        "SELECT meeting_id FROM room_state WHERE document->'banned_users' ? $1 ORDER BY meeting_id", user
    )
    return [row["meeting_id"] for row in rows]
