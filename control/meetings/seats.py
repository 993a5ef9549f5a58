"""Seats: the capacity of a meeting, counted under its lock when tokens are issued.

A token holds a seat until its holder is in the room or the token expires. A participant that is cut off keeps the seat
for a while (`store.participants.mark_left`). Nodes have the same limit, but control always refuses first.
"""

from control.database import Connection
from control.meetings import grants
from control.services import Services
from control.store import participants
from control.store.meetings import MeetingRow
from sfu.api.join_token import CLOCK_SKEW_SECONDS, LIFETIME_SECONDS

_SECONDS = LIFETIME_SECONDS + CLOCK_SKEW_SECONDS


async def is_full(
    services: Services, connection: Connection, meeting: MeetingRow, person: str | None, *, host: bool = False
) -> bool:
    """Return whether no seat is left for a participant (None for a newcomer).

    Hosts are admitted beyond the meeting's own capacity, up to the server's limit.
    """
    if person is not None and await participants.is_seated(connection, person):
        return False
    largest = services.config.max_participants
    seats = largest if host else min(grants.settings_of(meeting).capacity, largest)
    return await participants.others_seated(connection, meeting.id, person) >= seats


async def hold(connection: Connection, person: str) -> None:
    """Hold a seat for a participant to whom a token was issued."""
    await participants.hold_seat(connection, person, _SECONDS)
