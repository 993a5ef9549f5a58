"""Accounts in live rooms."""

import functools

from control.database import Connection
from control.meetings import grants
from control.store import meetings, participants, rooms
from sfu.api.desired_state import DesiredState


async def remove_from_rooms(connection: Connection, user: str) -> list[DesiredState | None]:
    """Remove an account from every live room and return the states to push. It may join again."""
    changed = []
    for person in await participants.present_of_user(connection, user):
        await meetings.lock(connection, person.meeting_id)
        without = functools.partial(grants.with_removed, participant=person.id, user=None)
        changed.append(await rooms.edit_state(connection, person.meeting_id, without))
    return changed
