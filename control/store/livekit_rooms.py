"""Meetings by the room names of LiveKit's access tokens, and participants by identity."""

from control.database import Connection, load
from control.identifiers import new_id
from control.identity.tokens import digest, new_rejoin_secret
from control.store.participants import ParticipantRow


async def meeting_of(connection: Connection, name: str) -> str | None:
    """Return the meeting that a room name stands for, unless it has ended: its own name, or a meeting's id."""
    found = await connection.fetchval(
        "SELECT m.id FROM livekit_rooms r JOIN meetings m ON m.id = r.meeting_id"
        " WHERE r.name = $1 AND m.status <> 'ended'",
        name,
    )
    if found is None:
        found = await connection.fetchval(
            "SELECT id FROM meetings WHERE id = $1 AND status <> 'ended' AND breakout_of IS NULL", name
        )
    return None if found is None else str(found)


async def lock_name(connection: Connection, name: str) -> None:
    """Let nobody else create a room of this name until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 28))", name)


async def bind(connection: Connection, name: str, meeting: str) -> None:
    """Let a name stand for a meeting from now on."""
    await connection.execute(
        "INSERT INTO livekit_rooms (name, meeting_id) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET meeting_id = excluded.meeting_id",
        name,
        meeting,
    )


async def owner(connection: Connection, username_key: str | None) -> str | None:
    """Return the account that meetings made by joining belong to: the named one, else the oldest administrator's."""
    found = await connection.fetchval(
        "SELECT id FROM users WHERE state = 'active' AND ($1::text IS NULL AND role = 'admin' OR username_key = $1)"
        " ORDER BY created_at, id LIMIT 1",
        username_key,
    )
    return None if found is None else str(found)


async def participant(connection: Connection, meeting: str, identity: str, name: str) -> ParticipantRow:
    """Return the participant of an identity, under the name that its token says; a new one the first time."""
    made = new_id("participant")
    row = await connection.fetchrow(
        "INSERT INTO meeting_participants (id, meeting_id, name, role, rejoin_hash, identity)"
        " VALUES ($1, $2, $3, 'participant', $4, $5)"
        " ON CONFLICT (meeting_id, identity) WHERE identity IS NOT NULL DO UPDATE SET name = excluded.name RETURNING *",
        made,
        meeting,
        name,
        digest(new_rejoin_secret(made)),
        identity,
    )
    assert row is not None
    return load(ParticipantRow, row)
