"""Breakout rooms: assignments, and their effect on the desired states of a meeting's rooms.

A breakout room is a meeting that belongs to another one. Its chat, recordings, consents and captions are stored like
any meeting's and deleted with the main one. A participant keeps its row in the main room. Joining the main room leads
to the participant's current room (`elsewhere` in the desired state). Moving a participant only sets that field.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from control.database import Connection
from control.meetings import ending, grants
from control.problem import Problem, not_found
from control.recurring import for_each
from control.services import Services
from control.store import breakouts, meetings, outbox, rooms
from control.store.breakouts import BreakoutRow, InsideRow
from control.store.meetings import MeetingRow
from sfu.api.desired_state import Announcement, DesiredState, Destination

LAST_SECONDS = 60
"""Length of the countdown of rooms that close by themselves."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """State of the breakout rooms, and the moves that participants may make without a host.

    They close `minutes` after they open, at `ends_at` (Unix ms); with 0, only a host closes them.
    """

    open: bool = False
    may_choose: bool = False
    may_return: bool = True
    minutes: int = 0
    ends_at: int | None = None

    def opened(self, now: datetime) -> "Plan":
        """Return the plan of rooms that open now."""
        ends_at = int(now.timestamp() * 1000) + self.minutes * 60_000 if self.minutes else None
        return msgspec.structs.replace(self, open=True, ends_at=ends_at)

    def closed(self) -> "Plan":
        """Return the plan of rooms that are closed or counting down."""
        return msgspec.structs.replace(self, open=False, ends_at=None)


def plan_of(main: MeetingRow) -> Plan:
    return msgspec.convert(main.breakouts or {}, Plan)


def is_closed(room: BreakoutRow) -> bool:
    """Return whether a room is closed or counting down."""
    return room.closes_at is not None


async def locked(connection: Connection, meeting: str) -> MeetingRow:
    """Lock and return the main room and its breakout rooms; raises Problem if there is no such main room."""
    await breakouts.lock(connection, meeting)
    main = await meetings.by_id(connection, meeting)
    if main is None:
        raise not_found("This meeting does not exist.")
    if main.breakout_of is not None:
        raise Problem(409, "breakout", "This is a breakout room. Use its main meeting instead.")
    return main


async def create(connection: Connection, main: MeetingRow, titles: Iterable[str], plan: Plan) -> list[str]:
    """Create breakout rooms, not yet open, in place of those prepared before; return their ids."""
    current = [room for room in await breakouts.of_meeting(connection, main.id) if not is_closed(room)]
    if plan_of(main).open and current:
        raise Problem(409, "breakouts_open", "The breakout rooms are open. Close them first.")
    for room in current:
        await meetings.delete(connection, room.id)
    made = []
    for title in titles:
        made.append(await breakouts.create(connection, main, title))
        state = grants.first_state(made[-1], grants.settings_of(main))
        await rooms.create_state(connection, msgspec.structs.replace(state, locked=False, returns_to=_place(main)))
    await breakouts.set_plan(connection, main.id, plan)
    return made


async def apply(connection: Connection, main: MeetingRow) -> list[DesiredState | None]:
    """Update the desired states of all open rooms to match the assignments; return those to push."""
    current = [room for room in await breakouts.of_meeting(connection, main.id) if not is_closed(room)]
    places = {room.id: Destination(meeting=room.id, title=room.title) for room in current}
    assigned = {
        person: places[room]
        for person, room in (await breakouts.assignments(connection, main.id)).items()
        if room in places
    }
    inside = await breakouts.inside(connection, main.id)
    changed = [await _edit(connection, main.id, elsewhere=assigned)]
    for room in current:
        away = _away(main, room.id, inside, assigned)
        changed.append(await _edit(connection, room.id, elsewhere=away))
    return changed


def _away(
    main: MeetingRow, room: str, inside: Iterable[InsideRow], assigned: Mapping[str, Destination]
) -> dict[str, Destination]:
    """Return the participants that were in a room and are now assigned elsewhere."""
    places = {one.id: assigned.get(one.main_id, _place(main)) for one in inside if one.meeting_id == room}
    return {person: place for person, place in places.items() if place.meeting != room}


def _place(main: MeetingRow) -> Destination:
    return Destination(meeting=main.id, title=main.title)


async def close(connection: Connection, main: MeetingRow, at: datetime) -> list[DesiredState | None]:
    """Close the open rooms at a given time. Until then participants see the countdown and may return earlier."""
    current = [room.id for room in await breakouts.of_meeting(connection, main.id) if not is_closed(room)]
    await breakouts.close(connection, current, at)
    await breakouts.unassign_all(connection, main.id)
    await breakouts.set_plan(connection, main.id, plan_of(main).closed())
    changed = [await _edit(connection, main.id, elsewhere={})]
    for room in current:
        changed.append(await _edit(connection, room, closes_at=int(at.timestamp() * 1000)))
    return changed


async def leave_closing(connection: Connection, main: MeetingRow, person: str) -> list[DesiredState | None]:
    """Move a participant back from a room that is counting down."""
    changed = []
    for one in await breakouts.inside(connection, main.id):
        if one.main_id == person:
            state = await rooms.state(connection, one.meeting_id)
            elsewhere = {} if state is None else state.elsewhere
            changed.append(await _edit(connection, one.meeting_id, elsewhere={**elsewhere, one.id: _place(main)}))
    return changed


async def announce(connection: Connection, main: MeetingRow, said: Announcement) -> list[DesiredState | None]:
    """Send an announcement to the main room and all open breakout rooms."""
    listed = await breakouts.of_meeting(connection, main.id)
    now = datetime.now(UTC)
    live = [room.id for room in listed if room.closes_at is None or room.closes_at > now]
    return [await _edit(connection, room, announcement=said) for room in (main.id, *live)]


async def keep_out(connection: Connection, main: str, person: str, banned: str | None) -> list[DesiredState | None]:
    """Remove a participant of the main room from the breakout rooms too."""
    await breakouts.assign(connection, person, None)
    return await _edit_each(connection, main, person, functools.partial(grants.with_removed, user=banned))


async def let_back(connection: Connection, main: str, person: str, user: str | None) -> list[DesiredState | None]:
    """Readmit a participant of the main room to the breakout rooms too."""
    return await _edit_each(connection, main, person, functools.partial(grants.readmitted, user=user))


async def _edit_each(
    connection: Connection, main: str, person: str, edit: Callable[..., DesiredState]
) -> list[DesiredState | None]:
    """Edit each breakout room for a participant of the main room, by the id it has there; return those that changed."""
    changed = []
    inside = {one.meeting_id: one.id for one in await breakouts.inside(connection, main) if one.main_id == person}
    for room in await breakouts.of_meeting(connection, main):
        own = functools.partial(edit, participant=inside.get(room.id, person))
        changed.append(await rooms.edit_state(connection, room.id, own))
    return changed


async def close_due(services: Services) -> None:
    """Begin the countdown of breakout rooms that close by themselves, and end those whose countdown is over."""
    soon = datetime.now(UTC) + timedelta(seconds=LAST_SECONDS)
    async with services.pool.acquire() as connection:
        due = await breakouts.due(connection, int(soon.timestamp() * 1000))
        closed = await breakouts.closed(connection)
    await for_each("breakout rooms that close", due, functools.partial(_close, services))
    await for_each("breakout rooms", closed, functools.partial(_end, services))


async def _close(services: Services, meeting: str) -> None:
    async with services.pool.acquire() as connection, connection.transaction():
        main = await locked(connection, meeting)
        ends_at = plan_of(main).ends_at
        if ends_at is None:  # a host closed them meanwhile
            return
        at = max(datetime.fromtimestamp(ends_at / 1000, UTC), datetime.now(UTC))
        states = await close(connection, main, at)
        payload = {"meeting": meeting, "by": "", "at": at}
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "breakouts.closed", payload)
    services.nodes.push(*states)


async def _end(services: Services, room: str) -> None:
    async with services.pool.acquire() as connection, connection.transaction():
        states = await ending.end_in_transaction(connection, room)
    services.nodes.push(*states)


async def _edit(connection: Connection, room: str, **changes: object) -> DesiredState | None:
    return await rooms.edit_state(connection, room, lambda before: msgspec.structs.replace(before, **changes))
