"""Telephones: the PINs of meetings, and calls."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection
from control.identifiers import new_id
from control.store.meetings import MeetingRow
from sfu.api.phone import PhoneDirection, PhonePhase, PhoneState, PhoneTransfer

PIN_DIGITS = 9
_SILENT_SECONDS = 20
_MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class PhoneCallRow:
    id: str
    meeting_id: str
    participant_id: str | None
    lobby_entry: str | None
    direction: PhoneDirection
    number: str
    name: str
    keys: str
    phase: PhonePhase
    reason: str
    phone: str
    created_by: str | None
    created_at: datetime
    ended_at: datetime | None
    application: dict[str, Any] | None
    sealed_order: str
    status: int
    transfer: PhoneTransfer
    transfer_order: dict[str, Any] | None
    transfer_status: int


async def pin_of(connection: Connection, meeting: str) -> str:
    """Return a meeting's PIN; make one if it has none."""
    while True:
        found: str | None = await connection.fetchval("SELECT pin FROM phone_pins WHERE meeting_id = $1", meeting)
        if found is not None:
            return found
        await connection.insert("phone_pins", then="ON CONFLICT DO NOTHING", meeting_id=meeting, pin=_new_pin())


async def change_pin(connection: Connection, meeting: str) -> str:
    """Give a meeting another PIN, and return it. Needs a transaction."""
    await connection.execute("DELETE FROM phone_pins WHERE meeting_id = $1", meeting)
    return await pin_of(connection, meeting)


def _new_pin() -> str:
    return str(secrets.randbelow(9 * 10 ** (PIN_DIGITS - 1)) + 10 ** (PIN_DIGITS - 1))


async def meeting_with(connection: Connection, pin: str) -> MeetingRow | None:
    """Return the meeting that has a PIN, unless it has ended."""
    return await connection.one(
        MeetingRow,
        "SELECT m.* FROM meetings m JOIN phone_pins p ON p.meeting_id = m.id WHERE p.pin = $1 AND m.status <> 'ended'",
        pin,
    )


async def add(
    connection: Connection,
    meeting: str,
    direction: PhoneDirection,
    *,
    number: str,
    name: str,
    phone: str = "",
    keys: str = "",
    user: str | None = None,
    call: str = "",
    application: dict[str, Any] | None = None,
    sealed_order: str = "",
) -> PhoneCallRow:
    """Insert a call, with the id `call` if it is given."""
    return await connection.insert_new(
        PhoneCallRow,
        "phone_calls",
        id=call or new_id("call"),
        meeting_id=meeting,
        direction=direction,
        number=number,
        name=name,
        keys=keys,
        phone=phone,
        created_by=user,
        application=application,
        sealed_order=sealed_order,
    )


async def by_id(connection: Connection, call: str) -> PhoneCallRow | None:
    return await connection.one(PhoneCallRow, "SELECT * FROM phone_calls WHERE id = $1", call)


async def of_meeting(connection: Connection, meeting: str) -> list[PhoneCallRow]:
    """Return the newest calls of a meeting."""
    return await connection.all(
        PhoneCallRow,
        "SELECT * FROM phone_calls WHERE meeting_id = $1 ORDER BY created_at DESC, id LIMIT $2",
        meeting,
        _MOST_LISTED,
    )


async def count_open(connection: Connection, meeting: str) -> int:
    """Return the number of calls of a meeting that have not ended."""
    return await connection.value(
        int, "SELECT count(*) FROM phone_calls WHERE meeting_id = $1 AND ended_at IS NULL", meeting
    )


async def set_lobby_entry(connection: Connection, call: str, entry: str | None) -> None:
    await connection.execute("UPDATE phone_calls SET lobby_entry = $2 WHERE id = $1", call, entry)


async def set_participant(connection: Connection, call: str, participant: str) -> None:
    await connection.execute(
        "UPDATE phone_calls SET participant_id = $2, lobby_entry = NULL WHERE id = $1", call, participant
    )


async def note(connection: Connection, call: str, phone: str, state: PhoneState) -> bool:
    """Store a process's report about a call. Return False if the call must end, or has ended."""
    return await connection.change(
        "UPDATE phone_calls c SET phase = $3, reason = $4, reported_at = now(), status = $5,"
        " transfer = CASE WHEN $6 = '' THEN c.transfer ELSE $6 END, transfer_status = $7,"
        " ended_at = CASE WHEN $3 = 'ended' THEN now() END"
        " FROM meetings m WHERE c.id = $1 AND c.phone = $2 AND c.ended_at IS NULL"
        " AND m.id = c.meeting_id AND (m.status <> 'ended' OR $3 = 'ended')",
        call,
        phone,
        state.phase,
        state.reason,
        state.status,
        state.transfer,
        state.transfer_status,
    )


async def end(connection: Connection, meeting: str, call: str, reason: str) -> bool:
    """Record that a call ends; return False if it is not under way. Its process is told with its next report."""
    return await connection.change(
        "UPDATE phone_calls SET phase = 'ended', reason = $3, ended_at = now()"
        " WHERE id = $1 AND meeting_id = $2 AND ended_at IS NULL",
        call,
        meeting,
        reason,
    )


async def end_silent(connection: Connection) -> None:
    """Record that calls have ended whose process has not reported them for long, or that none has taken."""
    await connection.execute(
        "UPDATE phone_calls SET phase = 'ended', ended_at = now(),"
        " reason = CASE WHEN phone = '' THEN 'unavailable' ELSE 'lost' END"
        " WHERE ended_at IS NULL AND reported_at < now() - make_interval(secs => $1)",
        _SILENT_SECONDS,
    )


async def claim(connection: Connection, phone: str, most: int, *, has_trunk: bool) -> None:
    """Assign to a process up to `most` calls that are to be placed; without a trunk, only those that name one."""
    await connection.execute(
        "UPDATE phone_calls SET phone = $1, phase = 'dialling', reported_at = now() WHERE id IN ("
        " SELECT id FROM phone_calls WHERE phone = '' AND direction = 'out' AND ended_at IS NULL"
        " AND ($3 OR sealed_order <> '') ORDER BY created_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)",
        phone,
        most,
        has_trunk,
    )


async def of_participant(connection: Connection, participant: str) -> PhoneCallRow | None:
    """Return the call of a participant that has not ended."""
    return await connection.one(
        PhoneCallRow, "SELECT * FROM phone_calls WHERE participant_id = $1 AND ended_at IS NULL", participant
    )


async def ask_transfer(connection: Connection, call: str, order: dict[str, Any]) -> bool:
    """Store that a call is to be transferred; return False if it has ended, or is being transferred."""
    return await connection.change(
        "UPDATE phone_calls SET transfer = 'asked', transfer_order = $2, transfer_status = 0"
        " WHERE id = $1 AND phase = 'live' AND transfer NOT IN ('asked', 'ongoing')",
        call,
        order,
    )


async def to_transfer(connection: Connection, phone: str) -> list[PhoneCallRow]:
    """Return the calls that a process is to transfer."""
    return await connection.all(
        PhoneCallRow,
        "SELECT * FROM phone_calls WHERE phone = $1 AND ended_at IS NULL AND transfer = 'asked'",
        phone,
    )


async def to_dial(connection: Connection, phone: str) -> list[PhoneCallRow]:
    """Return the calls that a process is to place, including those that it is placing."""
    return await connection.all(
        PhoneCallRow,
        "SELECT * FROM phone_calls WHERE phone = $1 AND direction = 'out' AND ended_at IS NULL AND phase = 'dialling'"
        " ORDER BY created_at, id",
        phone,
    )
