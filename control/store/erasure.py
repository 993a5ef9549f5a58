"""Erasure of an account or meeting from rows without a foreign key to it: events, deliveries, audit log, states.

Events keep their numbers, which consumers rely on, and lose their content. Audit entries stay, but lose actor and
target.
"""

from collections.abc import Iterable
from typing import Any

from control.database import Connection

_NAMED = """jsonb_path_query_array({}, '$.** ? (@.type() == "string")') ?| $1::text[]"""
"""SQL condition: a string in a document is one of these names. Each document has an index on this very expression."""


async def events(connection: Connection, names: Iterable[str]) -> None:
    """Empty the events that contain any of these names."""
    await connection.execute(
        "UPDATE outbox SET payload = jsonb_strip_nulls(jsonb_build_object('meeting', meeting_id, 'erased', true))"  # noqa: S608  constants
        " WHERE " + _NAMED.format("payload"),
        list(names),
    )


async def deliveries(connection: Connection, names: Iterable[str]) -> None:
    """Delete webhook deliveries that contain any of these names."""
    await connection.execute("DELETE FROM webhook_deliveries WHERE " + _NAMED.format("body::jsonb"), list(names))  # noqa: S608  constants


async def audit(connection: Connection, names: Iterable[str]) -> None:
    """Remove these names from the audit log: actors, targets and details."""
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
    """Delete the invitations that were sent to an account's address."""
    await connection.execute(
        "DELETE FROM invitations i USING users u WHERE u.id = $1 AND i.email_key = u.email_key"
        " AND (i.used_at IS NOT NULL OR u.email_verified_at IS NOT NULL)",
        user,
    )


async def account_events(connection: Connection, user: str) -> None:
    """Delete an account's events, which have no numbers, except those that report a deletion."""
    await connection.execute(
        "DELETE FROM outbox WHERE key = $1 AND meeting_id IS NULL AND kind NOT LIKE '%.deleted'", user
    )


async def of_user(connection: Connection, user: str) -> list[dict[str, Any]]:
    """Return an account's participants and their meetings; `live` if the room is, `named` if its state has them."""
    rows = await connection.fetch(
        "SELECT p.id AS participant, p.meeting_id AS meeting, EXISTS (SELECT FROM meeting_rooms r"
        "   WHERE r.meeting_id = p.meeting_id AND r.closed_at IS NULL) AS live, EXISTS (SELECT FROM room_state s"
        "   WHERE s.meeting_id = p.meeting_id AND (s.document->'participants' ? p.id OR s.document->'removed' ? p.id"
        "   OR s.document->'elsewhere' ? p.id OR s.document->'shared'->>'spotlight' = p.id)) AS named"
        " FROM meeting_participants p WHERE p.user_id = $1 ORDER BY p.meeting_id",
        user,
    )
    return [dict(row) for row in rows]


async def banned_in(connection: Connection, user: str) -> list[str]:
    """Return the meetings that an account is banned from."""
    return await connection.column(
        "SELECT meeting_id FROM room_state WHERE document->'banned_users' ? $1 ORDER BY meeting_id", user
    )
