"""Admission by stream keys: a node presents a holder's key and gets a join token for it.

A key bypasses the lobby, the passcode and a lock: by creating it, a host has admitted its holder.
"""

from datetime import UTC, datetime

import msgspec

from control.database import Connection
from control.meetings import grants, seats
from control.nodes import turn
from control.placement import placing
from control.services import Services
from control.store import meetings, rooms, stream_keys
from control.store.meetings import MeetingRow
from control.store.participants import ParticipantRow
from control.store.stream_keys import StreamKeyRow
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement
from sfu.api.stream_key import StreamKeyAdmission, StreamKeyUse, key_hash

_VERBS = {"publish": "publishes", "watch": "watches"}


class Refused(Exception):
    """Refusal that rolls back the transaction; `code` is one of the sfu's."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.answer = StreamKeyAdmission(code=code, detail=detail)


async def admit(services: Services, use: StreamKeyUse) -> StreamKeyAdmission:
    """Return a join token for the holder of a key, or the refusal; raises Problem 503 if there is no node."""
    try:
        hashed = bytes.fromhex(use.key_hash)
    except ValueError:
        hashed = b""
    try:
        async with services.pool.acquire() as connection, connection.transaction():
            key = await checked(connection, hashed, use)
            meeting = await meetings.lock(connection, key.meeting_id)
            state = await rooms.state(connection, key.meeting_id)
            if meeting is None or state is None or state.ended:
                raise Refused("ended", "The meeting has ended.")
            person = await stream_keys.participant(connection, key)
            await check_room(services, connection, meeting, state, person)
            placement = await placing.place(services, connection, key.meeting_id, services.config.region)
    except Refused as refused:
        return refused.answer
    return StreamKeyAdmission(token=_token(services, meeting, state, person, placement))


async def meeting_of(services: Services, bearer: str) -> str:
    """Return the meeting of a key, placed on a node that can admit the holder; "" if no meeting has the key.

    Raises Problem 503 if there is no node at all.
    """
    async with services.pool.acquire() as connection:
        key = await stream_keys.by_hash(connection, key_hash(bearer))
        if key is None:
            return ""
        await placing.ensure(services, connection, key.meeting_id)
    return key.meeting_id


async def checked(connection: Connection, hashed: bytes, use: StreamKeyUse) -> StreamKeyRow:
    """Return the key with this hash; raises Refused if it is invalid, or not for this use."""
    key = await stream_keys.by_hash(connection, hashed)
    if key is None:
        raise Refused("bad_token", "The stream key is invalid: it was deleted or has expired.")
    if use.room and use.room != key.meeting_id:
        raise Refused("foreign_token", "The stream key is for another room.")
    if use.role != key.role:
        raise Refused("not_permitted", f"The holder of this stream key {_VERBS[key.role]}, and nothing else.")
    return key


async def check_room(
    services: Services, connection: Connection, meeting: MeetingRow, state: DesiredState, person: ParticipantRow
) -> None:
    """Hold a seat in the room for the key's participant; raises Refused if there is none."""
    if person.removed_at is not None or person.id in state.removed:
        raise Refused("removed", "A host removed the holder of this stream key from the meeting.")
    if await seats.is_full(services, connection, meeting, person.id):
        raise Refused("full", "The meeting is full.")
    await seats.hold(connection, person.id)


def _token(
    services: Services, meeting: MeetingRow, state: DesiredState, person: ParticipantRow, placement: Placement
) -> str:
    granted = grants.current(state, person.id, person.role, grants.settings_of(meeting))
    offered = turn.ice_servers(services.config.turn, person.id, int(datetime.now(UTC).timestamp()))
    return services.tokens.join(
        meeting.id,
        person.id,
        person.name,
        None,
        msgspec.structs.replace(granted, chat=False, data=False),
        epoch=placement.epoch,
        returning=True,
        ice=turn.links(offered),
    )
