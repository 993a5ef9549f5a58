"""Breakout rooms of a meeting: hosts create, open, fill, address and close them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.identifiers import new_id
from control.meetings import breakouts
from control.meetings.breakouts import Plan
from control.meetings.ending import ended
from control.problem import Problem, forbidden, not_found
from control.store import audit, meetings, outbox, participants
from control.store import breakouts as store
from control.store.meetings import MeetingRow
from control.store.participants import HOSTS
from sfu.api.desired_state import Announcement

endpoints = Endpoints("breakout rooms", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/breakouts"


_Someone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class NewBreakout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A room to create, with the participants of the main room to assign to it."""

    title: Text
    participants: Annotated[list[_Someone], msgspec.Meta(max_length=500)] = []


class CreateBreakouts(Body, frozen=True, kw_only=True):
    """With `automatic`, everyone in the main room except hosts is spread evenly over the rooms.

    `may_choose`: participants may move to any room themselves; `may_return`: they may return to the main room. The
    rooms close `minutes` after they open, after a countdown of a minute; with 0, only a host closes them.
    """

    rooms: Annotated[list[NewBreakout], msgspec.Meta(min_length=1, max_length=50)]
    automatic: bool = False
    may_choose: bool = False
    may_return: bool = True
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 0


class MoveToBreakout(Body, frozen=True, kw_only=True):
    """`participant` is in the main room, by default the caller; a null `room` is the main room."""

    participant: _Someone | None = None
    room: _Someone | None = None


class AnnounceToBreakouts(Body, frozen=True, kw_only=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class CloseBreakouts(Body, frozen=True, kw_only=True):
    countdown_seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 30


class Breakout(Answer, frozen=True, kw_only=True):
    """`id` is the id of the room's meeting. `participants` of the main room are assigned to it; `present` are in it.

    The room closes at `closes_at`. Its chat, captions and recordings are kept.
    """

    id: str
    title: str
    participants: list[str]
    present: int
    closes_at: Time | None


class BreakoutPerson(Answer, frozen=True, kw_only=True):
    """A participant of the main room. `room` is its assigned room, null for the main room; `here`: it is there now."""

    id: str
    name: str
    room: str | None
    here: bool


class Breakouts(Answer, frozen=True, kw_only=True):
    """`place` is the caller's current room, null for the main room. `people` is for hosts, at most 1,000.

    Open rooms close by themselves at `ends_at`, if that is not null.
    """

    open: bool
    may_choose: bool
    may_return: bool
    minutes: int
    ends_at: Time | None
    place: str | None
    rooms: list[Breakout]
    people: list[BreakoutPerson]


@endpoints.route("GET", _PATH, Access.PARTICIPANT, answer=Breakouts)
async def list_breakouts(call: Call, meeting: str) -> Breakouts:
    """List the breakout rooms (at most 50) and their assignments, all at once."""
    async with call.services.pool.acquire() as connection:
        return await _listed(call, connection, meeting)


@endpoints.route("POST", _PATH, Access.HOST, body=CreateBreakouts, answer=Breakouts, status=201)
async def create_breakouts(call: Call, meeting: str, body: CreateBreakouts) -> Breakouts:
    """Create breakout rooms, which replace those prepared before. `open` opens them."""
    plan = Plan(may_choose=body.may_choose, may_return=body.may_return, minutes=body.minutes)
    async with call.services.pool.acquire() as connection, connection.transaction():
        main = await _locked(connection, meeting)
        made = await breakouts.create(connection, main, [room.title for room in body.rooms], plan)
        people = {person.id: person for person in await participants.of_meeting(connection, meeting)}
        for breakout, room in zip(made, body.rooms, strict=True):
            for person in room.participants:
                if person not in people:
                    raise not_found("There is no such participant in this meeting.")
                await store.assign(connection, person, breakout)
        if body.automatic:
            named = {person for room in body.rooms for person in room.participants}
            waiting = [one.id for one in people.values() if one.present and one.role not in HOSTS]
            for number, person in enumerate(one for one in waiting if one not in named):
                await store.assign(connection, person, made[number % len(made)])
        await _tell(call, connection, meeting, "breakouts.created", rooms=made)
        return await _listed(call, connection, meeting)


@endpoints.route("POST", f"{_PATH}/open", Access.HOST, answer=Breakouts)
async def open_breakouts(call: Call, meeting: str) -> Breakouts:
    """Open the rooms and move assigned participants into them."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        main = await _locked(connection, meeting)
        if not [room for room in await store.of_meeting(connection, meeting) if not breakouts.is_closed(room)]:
            raise Problem(409, "no_breakouts", "There are no breakout rooms to open.")
        await store.set_plan(connection, meeting, breakouts.plan_of(main).opened(datetime.now(UTC)))
        states = await breakouts.apply(connection, main)
        await _tell(call, connection, meeting, "breakouts.opened")
        listed = await _listed(call, connection, meeting)
    call.services.nodes.push(*states)
    return listed


@endpoints.route("POST", f"{_PATH}/move", Access.PARTICIPANT, body=MoveToBreakout, answer=Done)
async def move_to_breakout(call: Call, meeting: str, body: MoveToBreakout) -> Done:
    """Move a participant to another room at once. Hosts move anyone, others themselves if allowed."""
    own = call.standing.participant.id if call.standing.participant is not None else None
    person = body.participant or own
    if person is None:
        raise Problem(409, "not_joined", "Join the meeting first.")
    async with call.services.pool.acquire() as connection, connection.transaction():
        main = await _locked(connection, meeting)
        plan = breakouts.plan_of(main)
        if not call.standing.is_host and not (person == own and (plan.may_choose if body.room else plan.may_return)):
            raise forbidden("Only hosts may do this.")
        if await participants.by_id(connection, meeting, person) is None:
            raise not_found("There is no such participant in this meeting.")
        known = {room.id for room in await store.of_meeting(connection, meeting) if not breakouts.is_closed(room)}
        if body.room is not None and body.room not in known:
            raise not_found("There is no such breakout room.")
        await store.assign(connection, person, body.room)
        states = await breakouts.apply(connection, main) if plan.open else []
        if body.room is None and not plan.open:
            states = await breakouts.leave_closing(connection, main, person)
        await _tell(call, connection, meeting, "breakouts.moved", participant=person, room=body.room)
    call.services.nodes.push(*states)
    return Done()


@endpoints.route("POST", f"{_PATH}/announce", Access.HOST, body=AnnounceToBreakouts, answer=Done)
async def announce_to_breakouts(call: Call, meeting: str, body: AnnounceToBreakouts) -> Done:
    """Send an announcement to everyone in all rooms."""
    person = call.standing.participant
    said = Announcement(
        id=new_id("announcement"),
        name=person.name if person is not None else "Host",
        text=body.text,
        at=time.time_ns() // 1_000_000,
    )
    async with call.services.pool.acquire() as connection, connection.transaction():
        states = await breakouts.announce(connection, await _locked(connection, meeting), said)
        await _tell(call, connection, meeting, "breakouts.announced", text=body.text)
    call.services.nodes.push(*states)
    return Done()


@endpoints.route("POST", f"{_PATH}/close", Access.HOST, body=CloseBreakouts, answer=Breakouts)
async def close_breakouts(call: Call, meeting: str, body: CloseBreakouts) -> Breakouts:
    """Close the rooms after a countdown, then move everyone back to the main room."""
    at = datetime.now(UTC) + timedelta(seconds=body.countdown_seconds)
    async with call.services.pool.acquire() as connection, connection.transaction():
        main = await _locked(connection, meeting)
        if not breakouts.plan_of(main).open:
            raise Problem(409, "no_breakouts", "There are no open breakout rooms.")
        states = await breakouts.close(connection, main, at)
        await _tell(call, connection, meeting, "breakouts.closed", at=at)
        listed = await _listed(call, connection, meeting)
    call.services.nodes.push(*states)
    return listed


async def _locked(connection: Connection, meeting: str) -> MeetingRow:
    main = await breakouts.locked(connection, meeting)
    if main.status == "ended":
        raise ended()
    return main


async def _listed(call: Call, connection: Connection, meeting: str) -> Breakouts:
    main = await meetings.by_id(connection, meeting)
    assert main is not None
    plan = breakouts.plan_of(main)
    assigned = await store.assignments(connection, meeting)
    own = call.standing.participant.id if call.standing.participant is not None else ""
    people = await store.people(connection, meeting) if call.standing.is_host else []
    return Breakouts.from_row(
        plan,
        ends_at=None if plan.ends_at is None else datetime.fromtimestamp(plan.ends_at / 1000, UTC),
        place=assigned.get(own) if plan.open else None,
        rooms=[
            Breakout.from_row(room, participants=[person for person, where in assigned.items() if where == room.id])
            for room in await store.of_meeting(connection, meeting)
        ],
        people=[
            BreakoutPerson(id=one.id, name=one.name, room=one.room, here=one.place == (_target(plan, one) or meeting))
            for one in people
        ],
    )


def _target(plan: Plan, person: store.PersonRow) -> str | None:
    """Return the breakout room that a person belongs in now, None for the main room."""
    return person.room if plan.open else None


async def _tell(call: Call, connection: Connection, meeting: str, kind: str, **detail: object) -> None:
    payload = {"meeting": meeting, "by": call.actor, **detail}
    await outbox.append(connection, outbox.MEETING_EVENTS, meeting, kind, payload)
    await audit.write(connection, call.actor, kind, meeting, call.address, **detail)
