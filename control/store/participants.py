"""Participants of meetings: users and guests, over all their visits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection, load
from control.identifiers import new_id
from control.identity.tokens import digest, new_rejoin_secret
from control.store.window import Window, rows

Role = Literal["host", "co-host", "presenter", "participant", "viewer"]
HOSTS: frozenset[Role] = frozenset({"host", "co-host"})


# SQL condition: participant `p` of a main room is in it or in a breakout room, has a token for one, or was just cut
# off.
_SEATED = """(p.present OR coalesce(p.seat_until > now(), false) OR EXISTS (SELECT FROM meeting_participants b
    WHERE b.main_id = p.id AND (b.present OR b.seat_until > now())))"""
MOST = 10_000
"""The participants that are listed at once, at most, for actions that concern everyone in a room."""
_CUT_OFF_SECONDS = 60
_GONE = ("left", "removed", "banned", "ended", "consent_required")
"""Reasons for leaving that free the seat at once. After any other, the participant is expected back."""


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    id: str
    meeting_id: str
    user_id: str | None
    name: str
    role: Role
    rejoin_hash: bytes
    removed_at: datetime | None
    joined_at: datetime | None
    left_at: datetime | None
    present: bool
    main_id: str | None
    identity: str | None
    metadata: str
    created_at: datetime


async def add(
    connection: Connection,
    meeting: str,
    user: str | None,
    name: str,
    role: Role,
    *,
    participant: str | None = None,
    rejoin: bytes = b"",
) -> ParticipantRow:
    """Insert a participant. An account that is already one keeps its row, with the new name and rejoin secret.

    `rejoin` is the hash of its rejoin secret; an empty one matches none.
    """
    return await connection.insert_new(
        ParticipantRow,
        "meeting_participants",
        then="ON CONFLICT (meeting_id, user_id) WHERE user_id IS NOT NULL"
        " DO UPDATE SET name = excluded.name, rejoin_hash = excluded.rejoin_hash",
        id=participant or new_id("participant"),
        meeting_id=meeting,
        user_id=user,
        name=name,
        role=role,
        rejoin_hash=rejoin,
    )


async def by_id(connection: Connection, meeting: str, participant: str) -> ParticipantRow | None:
    return await connection.one(
        ParticipantRow, "SELECT * FROM meeting_participants WHERE id = $1 AND meeting_id = $2", participant, meeting
    )


async def by_user(connection: Connection, meeting: str, user: str) -> ParticipantRow | None:
    return await connection.one(
        ParticipantRow, "SELECT * FROM meeting_participants WHERE meeting_id = $1 AND user_id = $2", meeting, user
    )


async def with_identity(connection: Connection, meeting: str, identity: str, name: str) -> ParticipantRow:
    """Return the participant to whom an application gave an identity, with this name; insert it if it is new."""
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


async def count_identities(connection: Connection, meeting: str) -> int:
    return await connection.value(
        int, "SELECT count(*) FROM meeting_participants WHERE meeting_id = $1 AND identity IS NOT NULL", meeting
    )


async def set_metadata(connection: Connection, participant: str, metadata: str) -> None:
    await connection.execute("UPDATE meeting_participants SET metadata = $2 WHERE id = $1", participant, metadata)


async def set_name(connection: Connection, participant: str, name: str) -> list[ParticipantRow]:
    """Rename a main room's participant, and the same person in breakout rooms; return all of their rows."""
    return await connection.all(
        ParticipantRow,
        "UPDATE meeting_participants SET name = $2 WHERE id = $1 OR main_id = $1 RETURNING *",
        participant,
        name,
    )


async def by_main(connection: Connection, breakout: str, main: str) -> ParticipantRow | None:
    """Return the row of a main room's participant in a breakout room."""
    return await connection.one(
        ParticipantRow, "SELECT * FROM meeting_participants WHERE meeting_id = $1 AND main_id = $2", breakout, main
    )


async def of_meeting(connection: Connection, meeting: str, limit: int = 20_000) -> list[ParticipantRow]:
    return await connection.all(
        ParticipantRow,
        "SELECT * FROM meeting_participants WHERE meeting_id = $1 ORDER BY created_at, id LIMIT $2",
        meeting,
        limit,
    )


async def page(
    connection: Connection, meeting: str, window: Window, *, present: bool | None = None, search: str = ""
) -> list[ParticipantRow]:
    """Return a page of participants, those in the room or the others if `present` is given."""
    return await rows(
        connection,
        ParticipantRow,
        "SELECT * FROM meeting_participants WHERE meeting_id = $1 AND ($2::boolean IS NULL OR present = $2)"
        " AND position(lower($3) IN lower(name)) > 0",
        window,
        meeting,
        present,
        search,
    )


async def present_ones(connection: Connection, meeting: str) -> list[ParticipantRow]:
    """Return the participants in the room, in the order in which they came."""
    return await page(connection, meeting, Window(MOST, "created_at", descending=False), present=True)


async def others_seated(connection: Connection, meeting: str, but: str | None) -> int:
    """Return the number of other participants with a seat in a meeting or its breakout rooms."""
    return await connection.value(
        int,
        "SELECT count(*) FROM meeting_participants p WHERE p.meeting_id = $1 AND p.id IS DISTINCT FROM $2"  # noqa: S608  constants
        f" AND p.removed_at IS NULL AND {_SEATED}",
        meeting,
        but,
    )


async def is_seated(connection: Connection, participant: str) -> bool:
    """Return whether a main room's participant has a seat: in a room, on its way there, or just cut off."""
    query = f"SELECT {_SEATED} FROM meeting_participants p WHERE p.id = $1"  # noqa: S608  constants
    return await connection.value(bool, query, participant)


async def is_inside(connection: Connection, participant: str) -> bool:
    """Return whether a participant is in its room, or a main room's participant in a breakout room."""
    return await connection.value(
        bool,
        "SELECT EXISTS (SELECT FROM meeting_participants WHERE (id = $1 OR main_id = $1) AND present)",
        participant,
    )


async def hold_seat(connection: Connection, participant: str, seconds: int) -> None:
    """Reserve a seat for an admitted participant."""
    await connection.execute(
        "UPDATE meeting_participants SET seat_until = now() + make_interval(secs => $2) WHERE id = $1",
        participant,
        seconds,
    )


async def mark(connection: Connection, participant: str, browser: bytes, network: bytes) -> None:
    """Store the hashes that identify a participant's browser and address (`control.api.recognition`)."""
    await connection.execute(
        "UPDATE meeting_participants SET browser_mark = $2, network_mark = $3 WHERE id = $1",
        participant,
        browser,
        network,
    )


async def expected(connection: Connection, meeting: str, but: str) -> int:
    """Return the number of others with a seat in a room who have not arrived yet."""
    return await connection.value(
        int,
        "SELECT count(*) FROM meeting_participants WHERE meeting_id = $1 AND id <> $2 AND NOT present"
        " AND removed_at IS NULL AND seat_until > now()",
        meeting,
        but,
    )


@dataclass(frozen=True, slots=True)
class RemovedLike:
    """Removals from a meeting of somebody with the same `browser`, or on the same `network`."""

    browser: bool
    network: bool


async def removed_like(connection: Connection, meeting: str, browser: bytes, network: bytes) -> RemovedLike:
    return await connection.new(
        RemovedLike,
        "SELECT coalesce(bool_or(browser_mark = $2), false) AS browser,"
        " coalesce(bool_or(network_mark = $3), false) AS network"
        " FROM meeting_participants WHERE meeting_id = $1 AND removed_at IS NOT NULL",
        meeting,
        browser,
        network,
    )


async def count_present(connection: Connection, meeting: str) -> int:
    return await connection.value(
        int, "SELECT count(*) FROM meeting_participants WHERE meeting_id = $1 AND present", meeting
    )


async def rename(connection: Connection, participant: str, name: str, rejoin: bytes) -> None:
    await connection.execute(
        "UPDATE meeting_participants SET name = $2, rejoin_hash = $3 WHERE id = $1", participant, name, rejoin
    )


async def set_role(connection: Connection, participant: str, role: Role) -> None:
    await connection.execute("UPDATE meeting_participants SET role = $2 WHERE id = $1", participant, role)


async def mark_removed(connection: Connection, participant: str) -> None:
    await connection.execute(
        "UPDATE meeting_participants SET removed_at = now() WHERE id = $1 AND removed_at IS NULL", participant
    )


async def readmit(connection: Connection, participant: str) -> None:
    """Undo a removal."""
    await connection.execute("UPDATE meeting_participants SET removed_at = NULL WHERE id = $1", participant)


async def mark_joined(connection: Connection, meeting: str, participant: str, node: str, at: datetime) -> bool:
    """Record that the participant is in the room; return False if it does not belong to this meeting."""
    found = await connection.fetchval(
        "UPDATE meeting_participants SET present = true, joined_at = coalesce(joined_at, $3), left_at = NULL"
        " WHERE id = $1 AND meeting_id = $2 RETURNING id",
        participant,
        meeting,
        at,
    )
    if found is None:
        return False
    await _close_visits(connection, meeting, participant, at, "replaced")
    await connection.insert(
        "signaling_sessions", meeting_id=meeting, participant_id=participant, node=node, joined_at=at
    )
    return True


async def mark_left(connection: Connection, meeting: str, participant: str, at: datetime, reason: str) -> bool:
    """Record that a participant is no longer in the room; return False if it was not there."""
    found = await connection.fetchval(
        "UPDATE meeting_participants SET present = false, left_at = $3,"
        " seat_until = CASE WHEN $4 THEN NULL ELSE now() + make_interval(secs => $5) END"
        " WHERE id = $1 AND meeting_id = $2 AND present RETURNING id",
        participant,
        meeting,
        at,
        reason in _GONE,
        _CUT_OFF_SECONDS,
    )
    await _close_visits(connection, meeting, participant, at, reason)
    return found is not None


async def present_in(connection: Connection, meeting: str) -> list[str]:
    return await connection.column("SELECT id FROM meeting_participants WHERE meeting_id = $1 AND present", meeting)


async def present_of_user(connection: Connection, user: str) -> list[ParticipantRow]:
    """Return the account's participants that are now in a room, by meeting."""
    return await connection.all(
        ParticipantRow, "SELECT * FROM meeting_participants WHERE user_id = $1 AND present ORDER BY meeting_id", user
    )


async def _close_visits(connection: Connection, meeting: str, participant: str, at: datetime, reason: str) -> None:
    await connection.execute(
        "UPDATE signaling_sessions SET left_at = $3, leave_reason = $4"
        " WHERE meeting_id = $1 AND participant_id = $2 AND left_at IS NULL",
        meeting,
        participant,
        at,
        reason,
    )


async def anywhere(connection: Connection, participant: str) -> ParticipantRow | None:
    """Return a participant by its id, in any meeting."""
    return await connection.one(ParticipantRow, "SELECT * FROM meeting_participants WHERE id = $1", participant)
