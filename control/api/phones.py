"""Telephones of a meeting: its numbers and PIN for callers, and calls that hosts place."""

import re
from typing import Annotated

import msgspec

from control.api.paging import NamedQuery, cut
from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings.ending import ended
from control.phone_calls import shortened
from control.problem import Problem, forbidden, not_found
from control.store import audit, meetings, phones, rooms
from control.store.phones import PhoneCallRow
from sfu.api.phone import PhoneDirection, PhonePhase

endpoints = Endpoints("telephones", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/phone"
_SEPARATORS = str.maketrans("", "", " -./()\u00a0")
_NUMBER = re.compile(r"\+?[0-9]{2,15}")
_HOUR = 3600
_MEETING_DIALS = 60
PhoneNumber = Annotated[str, msgspec.Meta(min_length=2, max_length=40)]
Keys = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[0-9*#A-Da-d,]*$")]


class PhoneAccess(Answer, frozen=True, kw_only=True):
    """The numbers to call, with the `pin` to enter, followed by #. Without numbers, nobody can call in.

    `may_dial` is true if hosts can call telephones.
    """

    numbers: list[str]
    pin: str
    may_dial: bool


class DialPhone(Body, frozen=True, kw_only=True):
    """`number` is international (+44 …), or an extension of the operator's own telephone system.

    `name` is shown to the others instead of part of the number. `keys` are pressed once the call is answered; a comma
    is a pause of one second.
    """

    number: PhoneNumber
    name: Text | None = None
    keys: Keys = ""


class PhoneCall(Answer, frozen=True, kw_only=True):
    """A call. `reason` is why it ended, such as `hung_up`, `busy`, `declined`, `no_answer` or `no_such_number`."""

    id: str
    direction: PhoneDirection
    number: str
    name: str
    phase: PhonePhase
    reason: str
    participant: str | None
    created_at: Time
    ended_at: Time | None


class PhoneCallQuery(NamedQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name, `direction` chooses calls that came in or were placed. `sort` is a field of
    the entries; a minus reverses the order.
    """

    direction: PhoneDirection | None = None


class PhoneCalls(Answer, frozen=True, kw_only=True):
    calls: list[PhoneCall]
    next: str | None


@endpoints.route("GET", _PATH, Access.HOST, answer=PhoneAccess)
async def get_phone_access(call: Call, meeting: str) -> PhoneAccess:
    """Return how telephones reach the meeting."""
    policy = call.services.config.phone
    pin = ""
    if policy.numbers:
        async with call.services.pool.acquire() as connection:
            pin = await phones.pin_of(connection, _main(call, meeting))
    return PhoneAccess(numbers=list(policy.numbers), pin=pin, may_dial=bool(policy.prefixes))


@endpoints.route("POST", f"{_PATH}/pin", Access.HOST, answer=PhoneAccess)
async def change_phone_pin(call: Call, meeting: str) -> PhoneAccess:
    """Replace the PIN. The previous one stops working; callers who are in the meeting stay."""
    policy = call.services.config.phone
    if not policy.numbers:
        raise _off()
    async with call.services.pool.acquire() as connection, connection.transaction():
        pin = await phones.change_pin(connection, _main(call, meeting))
        await audit.write(connection, call.actor, "phone.pin_changed", meeting, call.address)
    return PhoneAccess(numbers=list(policy.numbers), pin=pin, may_dial=bool(policy.prefixes))


@endpoints.route("POST", f"{_PATH}/calls", Access.HOST, body=DialPhone, answer=PhoneCall, status=201)
async def call_phone(call: Call, meeting: str, body: DialPhone) -> PhoneCall:
    """Call a telephone. Whoever answers is in the meeting, as a participant.

    Only accounts can call, and only numbers with a prefix that the operator allows.
    """
    services, policy = call.services, call.services.config.phone
    if call.principal is None or call.principal.user is None:
        raise forbidden("Guests may not call telephones.")
    if not policy.prefixes:
        raise _off()
    number = dialled(body.number)
    if not is_allowed(number, policy.prefixes):
        raise Problem(403, "number_not_allowed", "This server does not call this number.")
    if call.standing.meeting.status == "ended":
        raise ended()
    await services.limits.spend("dial", call.user.user, policy.account_dials, _HOUR)
    await services.limits.spend("dial-meeting", meeting, _MEETING_DIALS, _HOUR)
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if state is None or state.ended:
            raise ended()
        if state.e2ee:
            raise Problem(409, "e2ee", "Telephones cannot join an end-to-end encrypted meeting.")
        await phones.end_silent(connection)
        if await phones.count_open(connection, meeting) >= policy.meeting_calls:
            raise Problem(409, "too_many_calls", "This meeting has too many telephones.")
        row = await phones.add(
            connection,
            meeting,
            "out",
            number=number,
            name=body.name or shortened(number),
            keys=body.keys,
            user=call.user.user,
        )
        await audit.write(connection, call.actor, "phone.called", row.id, call.address, meeting=meeting, number=number)
    return _public(row)


@endpoints.route("GET", f"{_PATH}/calls", Access.HOST, query=PhoneCallQuery, answer=PhoneCalls)
async def list_phone_calls(call: Call, meeting: str, query: PhoneCallQuery) -> PhoneCalls:
    """List the meeting's newest 200 calls, those under way and those that have ended."""
    async with call.services.pool.acquire() as connection:
        await phones.end_silent(connection)
        rows = await phones.of_meeting(connection, meeting)
    found = [_public(row) for row in rows if query.direction in (None, row.direction)]
    page, following = cut(PhoneCall, found, query)
    return PhoneCalls(calls=page, next=following)


@endpoints.route("DELETE", f"{_PATH}/calls/<phone_call>", Access.HOST, answer=Done)
async def hang_up_phone(call: Call, meeting: str, phone_call: str) -> Done:
    """Hang up. The caller may call again; removing the participant prevents that."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await phones.end(connection, meeting, phone_call, "hung_up_by_host"):
            raise not_found("There is no such call under way.")
        await audit.write(connection, call.actor, "phone.hung_up", phone_call, call.address, meeting=meeting)
    return Done()


def dialled(text: str) -> str:
    """Return a number without separators, with + instead of 00; raises Problem 400."""
    number = text.strip().translate(_SEPARATORS)
    if number.startswith("00"):
        number = "+" + number[2:]
    if not _NUMBER.fullmatch(number):
        raise Problem(400, "invalid_number", "This is not a telephone number. Write it like +44 20 7946 0000.")
    return number


def is_allowed(number: str, prefixes: tuple[str, ...]) -> bool:
    """Return whether the longest prefix that a number has allows it; one with ! forbids."""
    fitting = [prefix for prefix in prefixes if number.startswith(prefix.removeprefix("!"))]
    longest = max(fitting, key=lambda prefix: len(prefix.removeprefix("!")), default="!")
    return not longest.startswith("!")


def _main(call: Call, meeting: str) -> str:
    """Return the main meeting of a breakout room, through which callers enter."""
    return call.standing.meeting.breakout_of or meeting


def _off() -> Problem:
    return Problem(409, "no_phone", "This server does not do that: its operator has not set up telephones for it.")


def _public(row: PhoneCallRow) -> PhoneCall:
    return PhoneCall.from_row(row, participant=row.participant_id)
