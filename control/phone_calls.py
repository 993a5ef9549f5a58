"""Telephones (sfu.api.phone): admission by PIN or by a host who called, their participants, and reports of calls.

A caller is a guest: the lobby and the lock count for it, a passcode does not, since the PIN stands for it. A call that
a host placed is admitted at once. So is a call of an application (LiveKit's SIP service), whose rules name its room:
like an access token, the rule of somebody with an API secret admits the caller.
"""

import re
import secrets
from datetime import UTC, datetime

import msgspec

from control import livekit_sip
from control.database import Connection
from control.http.limits import Failures
from control.identifiers import new_id
from control.identity.livekit_tokens import TokenRefused
from control.identity.tokens import digest
from control.livekit_admission import create
from control.livekit_sip import ApplicationCall, Dispatched
from control.meetings import grants, seats
from control.placement import cascade, placing
from control.problem import Problem
from control.services import Services
from control.store import breakouts, lobby, meetings, outbox, participants, phones, rooms
from control.store.lobby import LobbyRow
from control.store.meetings import MeetingRow
from control.store.participants import ParticipantRow
from control.store.phones import PhoneCallRow
from sfu.api.desired_state import DesiredState
from sfu.api.phone import (
    KIND,
    STATUS_ATTRIBUTE,
    STATUSES,
    DialOrder,
    Entered,
    EnterMeeting,
    PhoneOrders,
    PhoneReport,
    TransferOrder,
)

_WINDOW = 15 * 60
_CALLER_FAILURES, _ALL_FAILURES = 10, 100
"""Wrong PINs within 15 minutes: of one caller, and of all together, since callers can lie about their number."""
_ANONYMOUS = frozenset({"", "anonymous", "unknown", "unavailable", "restricted", "private"})


class _Refused(Exception):
    """Refusal that rolls back the transaction."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def enter(services: Services, wish: EnterMeeting) -> Entered:
    """Admit a call to its meeting; return a token, the request to wait, or the refusal."""
    call = wish.call
    try:
        if not call:
            call = await (_begin_for_application(services, wish) if wish.trunk else _begin(services, wish))
        return await _admit(services, call, wish.instance)
    except TokenRefused:  # no account can own the room's meeting
        return Entered(outcome="refused", call=call, code="no_room")
    except _Refused as refused:
        return Entered(outcome="refused", call=call, code=refused.code)
    except Problem as problem:
        code = "too_many_attempts" if problem.status == 429 else problem.code
        return Entered(outcome="refused", call=call, code=code, again=problem.status >= 500)


async def _begin(services: Services, wish: EnterMeeting) -> str:
    """Return the id of a new call to the meeting with the caller's PIN; raises _Refused and Problem 429."""
    found: list[MeetingRow] = []

    async def attempt() -> bool:
        if not (wish.pin.isascii() and wish.pin.isdecimal() and len(wish.pin) <= 2 * phones.PIN_DIGITS):
            return False
        async with services.pool.acquire() as connection:
            meeting = await phones.meeting_with(connection, wish.pin)
        if meeting is not None:
            found.append(meeting)
        return meeting is not None

    if not await services.limits.guess(_limits(wish), attempt):
        raise _Refused("wrong_pin")
    (meeting,) = found
    if not grants.settings_of(meeting).guests:
        raise _Refused("guests")
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting.id)
        await phones.end_silent(connection)
        if await phones.count_open(connection, meeting.id) >= services.config.phone.meeting_calls:
            raise _Refused("full")
        name = shortened(wish.caller)
        row = await phones.add(connection, meeting.id, "in", number=wish.caller[:64], name=name, phone=wish.instance)
    return row.id


def _limits(wish: EnterMeeting) -> tuple[Failures, ...]:
    return (
        Failures("phone-pin", wish.caller or wish.instance, _CALLER_FAILURES, _WINDOW),
        Failures("phone-pins", "all", _ALL_FAILURES, _WINDOW),
    )


async def _begin_for_application(services: Services, wish: EnterMeeting) -> str:
    """Return the id of a new call to the room that an application's rules name; raises _Refused and Problem 429."""
    async with services.pool.acquire() as connection:
        trunks = await livekit_sip.of_kind(services, connection, "inbound")
        rules = await livekit_sip.of_kind(services, connection, "rule")
    trunk = next((one for one in trunks if one.sip_trunk_id == wish.trunk), None)
    if trunk is None:
        raise _Refused("no_rule")
    found: list[Dispatched] = []
    call = new_id("call")
    about = {"id": livekit_sip.CALL + call.removeprefix("call_"), "host": wish.host}
    about |= {"caller": wish.caller, "called": wish.called}

    async def attempt() -> bool:
        rule = livekit_sip.rule_for(rules, wish.trunk, caller=wish.caller, called=wish.called, pin=wish.pin)
        if rule is None:
            return False
        found.append(livekit_sip.dispatched(trunk, rule, about, wish.pin))
        return True

    try:
        right = await (services.limits.guess(_limits(wish), attempt) if wish.pin else attempt())
    except livekit_sip.PinWanted:
        raise _Refused("pin_wanted") from None
    if not right:
        raise _Refused("wrong_pin" if wish.pin else "no_rule")
    (to,) = found
    async with services.pool.acquire() as connection, connection.transaction():
        meeting = await create(services, connection, to.room, to.wish)
        await meetings.lock(connection, meeting)
        await phones.end_silent(connection)
        if await phones.count_open(connection, meeting) >= services.config.phone.meeting_calls:
            raise _Refused("full")
        person = await participants.with_identity(connection, meeting, to.call.identity, to.name)
        changed = await let_in(connection, meeting, person)
        row = await phones.add(
            connection,
            meeting,
            "in",
            number=wish.caller[:64],
            name=to.name,
            phone=wish.instance,
            call=call,
            application=msgspec.to_builtins(to.call),
        )
        await phones.set_participant(connection, row.id, person.id)
    services.nodes.push(changed)
    return row.id


async def let_in(connection: Connection, meeting: str, person: ParticipantRow) -> DesiredState | None:
    """Let an application's participant join, even if it was removed before, and tell how far its call is.

    Return the new desired state. Needs the transaction that locked the meeting.
    """
    row = await meetings.lock(connection, meeting)
    assert row is not None
    settings = grants.settings_of(row)

    def edit(state: DesiredState) -> DesiredState:
        granted = msgspec.structs.replace(grants.current(state, person.id, person.role, settings), describe=True)
        return grants.with_grants(grants.without_removed(state, person.id), person.id, granted)

    return await rooms.edit_state(connection, meeting, edit)


async def _admit(services: Services, call: str, instance: str) -> Entered:
    """Admit a known call; raises _Refused and Problem."""
    async with services.pool.acquire() as connection:
        row = await phones.by_id(connection, call)
    if row is None or row.phone != instance or row.ended_at is not None:
        raise _Refused("ended")
    await placing.check(services, row.meeting_id)
    async with services.pool.acquire() as connection, connection.transaction():
        meeting = await meetings.lock(connection, row.meeting_id)
        state = await rooms.state(connection, row.meeting_id)
        if meeting is None or state is None or state.ended:
            raise _Refused("ended")
        if state.e2ee:
            raise _Refused("e2ee")
        known = None
        if row.participant_id is not None:
            known = await participants.by_id(connection, meeting.id, row.participant_id)
        if known is None and row.direction == "in":
            waiting = await _wait(services, connection, meeting, state, row)
            if waiting:
                return Entered(outcome="wait", call=row.id)
        person = known or await _add(services, connection, meeting, row)
        if person.removed_at is not None or person.id in state.removed:
            raise _Refused("removed")
        if await seats.is_full(services, connection, meeting, person.id):
            raise _Refused("full")
        await seats.hold(connection, person.id)
        there = state.elsewhere.get(person.id)
        if there is None:
            return await _joined(services, connection, meeting, state, person, row=row, returning=known is not None)
    return await _enter_breakout(services, there.meeting, person, row)


async def _wait(
    services: Services, connection: Connection, meeting: MeetingRow, state: DesiredState, row: PhoneCallRow
) -> bool:
    """Return whether a newcomer waits in the lobby; raises _Refused if it may not enter."""
    mark = _mark(services, meeting.id, row)
    if mark and (await participants.removed_like(connection, meeting.id, mark, b"-")).browser:
        raise _Refused("removed")
    if state.locked:
        raise _Refused("locked")
    if not grants.settings_of(meeting).lobby:
        return False
    if row.lobby_entry is None:
        if len(await lobby.waiting(connection, meeting.id)) >= services.config.limits.waiting:
            raise _Refused("full")
        entry = LobbyRow(
            id=new_id("lobby"),
            meeting_id=meeting.id,
            user_id=None,
            name=row.name,
            ticket_hash=digest(secrets.token_urlsafe(24)),  # nobody has this ticket
            state="waiting",
            created_at=datetime.now(UTC),
        )
        await lobby.add(connection, entry)
        await phones.set_lobby_entry(connection, row.id, entry.id)
        payload = {"meeting": meeting.id, "entry": entry.id, "name": entry.name}
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting.id, "lobby.entered", payload)
        return True
    waiting = await lobby.see(connection, meeting.id, row.lobby_entry)
    if waiting is None or waiting.state == "denied":
        raise _Refused("denied")
    if waiting.state == "waiting":
        return True
    await lobby.remove(connection, meeting.id, waiting.id)
    return False


async def _add(services: Services, connection: Connection, meeting: MeetingRow, row: PhoneCallRow) -> ParticipantRow:
    """Insert the participant of a call."""
    role = grants.role_of_newcomer(meeting, host=False)
    if row.direction == "out":
        role = "participant"
    person = await participants.add(connection, meeting.id, None, row.name, role)
    await phones.set_participant(connection, row.id, person.id)
    if mark := _mark(services, meeting.id, row):
        await participants.mark(connection, person.id, mark, b"")
    return person


def _mark(services: Services, meeting: str, row: PhoneCallRow) -> bytes:
    """Return the hash by which a meeting recognises a number; empty for an anonymous one."""
    return services.tokens.mark(meeting, f"phone {row.number}") if row.number.lower() not in _ANONYMOUS else b""


async def _joined(
    services: Services,
    connection: Connection,
    meeting: MeetingRow,
    state: DesiredState,
    person: ParticipantRow,
    *,
    row: PhoneCallRow,
    returning: bool,
) -> Entered:
    """Return the token for a room. Needs the transaction that locked the meeting."""
    home = await placing.place(services, connection, meeting.id, services.config.region)
    name, placement = await cascade.node_for_joiner(services, connection, person, home, services.config.region)
    node = services.nodes.node(name)
    if node is None:
        raise Problem(503, "no_node", "This meeting has no live room.")
    secondary = name if name != placement.node and await cascade.tell(services, meeting.id, name, placement) else ""
    if not secondary and name != placement.node:
        node = services.nodes.node(placement.node)
        if node is None:
            raise Problem(503, "no_node", "This meeting has no live room.")
    settings = grants.settings_of(meeting)
    granted = grants.current(state, person.id, person.role, settings)
    told = msgspec.convert(row.application, ApplicationCall) if row.application is not None else None
    status = {STATUS_ATTRIBUTE: STATUSES.get(row.phase, STATUSES["live"])}
    token = services.tokens.join(
        meeting.id,
        person.id,
        person.name,
        None,
        granted,
        epoch=placement.epoch,
        returning=returning or row.direction == "out" or told is not None,
        node=secondary,
        identity=told.identity if told is not None else "",
        metadata=told.metadata if told is not None else "",
        attributes=told.attributes | status if told is not None else {},
        kind=KIND,
    )
    return Entered(
        outcome="in",
        call=row.id,
        token=token,
        signaling_url=node.signaling_url,
        start_muted=settings.mute_on_entry and not returning and told is None,
        consent=state.consent,
        heard_by=await _host_who_dialled(connection, meeting.id, row),
        forwards_keys=told is not None,
        longest_seconds=told.longest_seconds if told is not None else 0,
    )


async def _host_who_dialled(connection: Connection, meeting: str, row: PhoneCallRow) -> str:
    """Return the participant who hears a call before it is answered, "" for everybody."""
    if row.direction == "in" or row.created_by is None:
        return ""
    person = await participants.by_user(connection, meeting, row.created_by)
    return person.id if person is not None else ""


async def _enter_breakout(services: Services, breakout: str, main: ParticipantRow, row: PhoneCallRow) -> Entered:
    """Return the token for the breakout room that a participant is assigned to."""
    await placing.check(services, breakout)
    async with services.pool.acquire() as connection, connection.transaction():
        meeting = await meetings.lock(connection, breakout)
        state = await rooms.state(connection, breakout)
        if meeting is None or state is None or state.ended or _has_closed(meeting):
            raise Problem(503, "breakout_closed", "The breakout room has closed; try again.")
        person = await breakouts.enter(connection, breakout, main, new_id("participant"))
        return await _joined(services, connection, meeting, state, person, row=row, returning=True)


def _has_closed(meeting: MeetingRow) -> bool:
    return meeting.closes_at is not None and meeting.closes_at <= datetime.now(UTC)


async def take_report(services: Services, report: PhoneReport) -> PhoneOrders:
    """Store the states of a process's calls; return those that may continue, and the calls to place."""
    async with services.pool.acquire() as connection, connection.transaction():
        held = [
            call
            for call, state in sorted(report.calls.items())
            if await phones.note(connection, call, report.instance, state)
        ]
        await phones.end_silent(connection)
        if report.free:
            await phones.claim(connection, report.instance, report.free, has_trunk=bool(report.trunk))
        waiting = await phones.to_dial(connection, report.instance)
        transfers = await phones.to_transfer(connection, report.instance)
        trunks = await livekit_sip.inbound_trunks(services, connection)
    return PhoneOrders(
        held=held,
        dial=[_order(services, row) for row in waiting],
        transfers=[msgspec.convert(row.transfer_order, TransferOrder) for row in transfers],
        trunks=trunks,
    )


def _order(services: Services, row: PhoneCallRow) -> DialOrder:
    if not row.sealed_order:
        return DialOrder(call=row.id, number=row.number, keys=row.keys)
    return msgspec.json.decode(services.ingress_seal.open(row.id, row.sealed_order), type=DialOrder)


async def invitation(services: Services, meeting: MeetingRow) -> str:
    """Return the line of an invitation that says how to call in; "" if nobody can."""
    numbers = services.config.phone.numbers
    if not numbers or not grants.settings_of(meeting).guests:
        return ""
    async with services.pool.acquire() as connection:
        pin = await phones.pin_of(connection, meeting.id)
    return f"By phone: {', '.join(numbers)}, PIN {pin[:3]} {pin[3:6]} {pin[6:]}#"


def shortened(number: str) -> str:
    """Return a number as others see it: without the digits in its middle."""
    if number.lower() in _ANONYMOUS:
        return "Phone"
    if not re.fullmatch(r"\+?\d+", number):
        return number[:20]
    return f"{number[:3]} … {number[-3:]}" if len(number) > 7 else number
