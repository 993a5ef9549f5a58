"""Activities of a meeting: polls, questions, a timer, the spotlight.

Rooms learn that something changed; pages then ask for polls and questions.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import msgspec

from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.identifiers import new_id
from control.meetings.ending import ended
from control.problem import Problem, forbidden, not_found
from control.store import activities, meetings, participants, rooms
from control.store.activities import PollRow, QuestionRow
from sfu.api.desired_state import DesiredState, SharedView

endpoints = Endpoints("activities", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>"
_MAX_POLLS = 50
_MAX_QUESTIONS = 500
_MAX_SECONDS = 24 * 3600
_WINDOW = 60
_Someone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Said = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S")]


class SetSpotlight(Body, frozen=True, kw_only=True):
    """The participant shown large to everybody; null shows nobody."""

    participant: _Someone | None


class SetTimer(Body, frozen=True, kw_only=True):
    """A timer of `seconds` from now, which replaces an earlier one; null removes it."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=_MAX_SECONDS)] | None


class NewPoll(Body, frozen=True, kw_only=True):
    """A poll of two to ten options; with `multiple`, people may choose several."""

    question: _Said
    options: Annotated[list[Text], msgspec.Meta(min_length=2, max_length=10)]
    multiple: bool = False


class Vote(Body, frozen=True, kw_only=True):
    """The numbers of the chosen options, counted from 0. A later vote replaces an earlier one."""

    options: Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=9)]], msgspec.Meta(min_length=1, max_length=10)]


class Ask(Body, frozen=True, kw_only=True):
    """A question. If it is `anonymous`, nobody is shown who asked it."""

    text: _Said
    anonymous: bool = False


class Support(Body, frozen=True, kw_only=True):
    """True adds the caller's vote for a question, false removes it."""

    wanted: bool


class SetAnswered(Body, frozen=True, kw_only=True):
    answered: bool


class Poll(Answer, frozen=True, kw_only=True):
    """`counts` has the votes for each option. Hosts always see it, others after voting or once the poll is closed."""

    id: str
    question: str
    options: list[str]
    multiple: bool
    closed_at: Time | None
    voters: int
    counts: list[int] | None
    own: list[int] | None


class Question(Answer, frozen=True, kw_only=True):
    """`name` is null for an anonymous question. `mine`: the caller asked it; `own`: the caller voted for it."""

    id: str
    text: str
    name: str | None
    mine: bool
    asked_at: Time
    answered_at: Time | None
    votes: int
    own: bool


class Activities(Answer, frozen=True, kw_only=True):
    """Polls, newest first; questions, most votes first."""

    polls: list[Poll]
    questions: list[Question]


@endpoints.route("PUT", f"{_PATH}/spotlight", Access.HOST, body=SetSpotlight, answer=Done)
async def set_spotlight(call: Call, meeting: str, body: SetSpotlight) -> Done:
    """Show a participant large to everybody, or stop doing so."""

    def change(view: SharedView) -> SharedView:
        return msgspec.structs.replace(view, spotlight=body.participant)

    async with _changing(call, meeting, change) as connection:
        if body.participant and await participants.by_id(connection, meeting, body.participant) is None:
            raise not_found("There is no such participant in this meeting.")
    return Done()


@endpoints.route("PUT", f"{_PATH}/timer", Access.HOST, body=SetTimer, answer=Done)
async def set_timer(call: Call, meeting: str, body: SetTimer) -> Done:
    """Start a timer that everybody sees, or remove it."""
    ends_at = None if body.seconds is None else time.time_ns() // 1_000_000 + body.seconds * 1000

    def change(view: SharedView) -> SharedView:
        return msgspec.structs.replace(view, timer_ends_at=ends_at)

    async with _changing(call, meeting, change):
        pass
    return Done()


@endpoints.route("GET", f"{_PATH}/activities", Access.PARTICIPANT, answer=Activities)
async def list_activities(call: Call, meeting: str) -> Activities:
    """Return the meeting's polls (at most 50) and questions (at most 500), all at once."""
    reader = call.standing.participant.id if call.standing.participant is not None else None
    async with call.services.pool.acquire() as connection:
        polls = await activities.polls(connection, meeting, reader)
        questions = await activities.questions(connection, meeting, reader)
    return Activities(
        polls=[_poll(row, call.standing.is_host) for row in polls],
        questions=[_question(row, reader) for row in questions],
    )


@endpoints.route("POST", f"{_PATH}/polls", Access.HOST, body=NewPoll, answer=Done, status=201)
async def create_poll(call: Call, meeting: str, body: NewPoll) -> Done:
    """Start a poll that everybody may answer; at most 50 in a meeting."""
    async with _changing(call, meeting) as connection:
        if await activities.count_polls(connection, meeting) >= _MAX_POLLS:
            raise Problem(409, "too_many_polls", "This meeting has too many polls. Delete one first.")
        await activities.add_poll(
            connection, meeting, new_id("poll"), body.question, body.options, multiple=body.multiple
        )
    return Done()


@endpoints.route("POST", f"{_PATH}/polls/<poll>/vote", Access.PARTICIPANT, body=Vote, answer=Done)
async def vote_in_poll(call: Call, meeting: str, poll: str, body: Vote) -> Done:
    """Vote in an open poll."""
    person = await _inside(call)
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        found = await activities.polls(connection, meeting, person, poll)
        if not found:
            raise not_found("There is no such poll.")
        [row] = found
        chosen = sorted(set(body.options))
        if row.closed_at is not None:
            raise Problem(409, "poll_closed", "This poll is closed.")
        if chosen[-1] >= len(row.options) or (len(chosen) > 1 and not row.multiple):
            raise Problem(400, "invalid_request", "The poll has no such choice.")
        await activities.vote(connection, poll, person, chosen)
    return Done()


@endpoints.route("POST", f"{_PATH}/polls/<poll>/close", Access.HOST, answer=Done)
async def close_poll(call: Call, meeting: str, poll: str) -> Done:
    """Close a poll. Everybody sees its result."""
    async with _changing(call, meeting) as connection:
        if not await activities.close_poll(connection, meeting, poll):
            raise not_found("There is no such poll.")
    return Done()


@endpoints.route("DELETE", f"{_PATH}/polls/<poll>", Access.HOST, answer=Done)
async def delete_poll(call: Call, meeting: str, poll: str) -> Done:
    """Delete a poll with its votes."""
    async with _changing(call, meeting) as connection:
        if not await activities.delete_poll(connection, meeting, poll):
            raise not_found("There is no such poll.")
    return Done()


@endpoints.route("POST", f"{_PATH}/questions", Access.PARTICIPANT, body=Ask, answer=Done, status=201)
async def ask_question(call: Call, meeting: str, body: Ask) -> Done:
    """Ask the hosts a question that everybody sees; at most 500 in a meeting."""
    person = await _inside(call)
    async with _changing(call, meeting) as connection:
        if await activities.count_questions(connection, meeting) >= _MAX_QUESTIONS:
            raise Problem(409, "too_many_questions", "This meeting has too many questions.")
        question = new_id("question")
        await activities.add_question(connection, meeting, question, person, body.text, anonymous=body.anonymous)
    return Done()


@endpoints.route("POST", f"{_PATH}/questions/<question>/vote", Access.PARTICIPANT, body=Support, answer=Done)
async def support_question(call: Call, meeting: str, question: str, body: Support) -> Done:
    """Vote for a question, or remove the vote."""
    person = await _inside(call)
    async with call.services.pool.acquire() as connection, connection.transaction():
        await _one_question(connection, meeting, question)
        await activities.support(connection, question, person, wanted=body.wanted)
    return Done()


@endpoints.route("PUT", f"{_PATH}/questions/<question>", Access.HOST, body=SetAnswered, answer=Done)
async def set_answered(call: Call, meeting: str, question: str, body: SetAnswered) -> Done:
    """Mark a question as answered, or as open again."""
    async with _changing(call, meeting) as connection:
        await _one_question(connection, meeting, question)
        await activities.answer_question(connection, question, answered=body.answered)
    return Done()


@endpoints.route("DELETE", f"{_PATH}/questions/<question>", Access.PARTICIPANT, answer=Done)
async def delete_question(call: Call, meeting: str, question: str) -> Done:
    """Delete one of the caller's questions. Hosts may delete any."""
    own = call.standing.participant.id if call.standing.participant is not None else None
    async with _changing(call, meeting) as connection:
        row = await _one_question(connection, meeting, question)
        if row.participant_id != own and not call.standing.is_host:
            raise forbidden("This question belongs to somebody else.")
        await activities.delete_question(connection, question)
    return Done()


def _poll(row: PollRow, is_host: bool) -> Poll:
    seen = is_host or row.own is not None or row.closed_at is not None
    return Poll.from_row(row, counts=row.counts if seen else None)


def _question(row: QuestionRow, reader: str | None) -> Question:
    return Question.from_row(row, name=None if row.anonymous else row.name, mine=row.participant_id == reader)


async def _inside(call: Call) -> str:
    """Return the caller's participant and count the request; raises Problem if the caller is not in the room."""
    person = call.standing.participant
    if person is None:
        raise forbidden("Join the meeting first.")
    await call.services.limits.spend("activities", person.id, 60, _WINDOW)
    async with call.services.pool.acquire() as connection:
        if not await participants.is_inside(connection, person.id):
            raise Problem(403, "not_in_room", "Connect to the meeting first.")
    return person.id


async def _one_question(connection: Connection, meeting: str, question: str) -> QuestionRow:
    found = await activities.questions(connection, meeting, None, question)
    if not found:
        raise not_found("There is no such question.")
    return found[0]


def _once_more(view: SharedView) -> SharedView:
    """Return the view with the next number, at which pages ask for polls and questions again."""
    return msgspec.structs.replace(view, activities=view.activities + 1)


@contextlib.asynccontextmanager
async def _changing(
    call: Call, meeting: str, change: Callable[[SharedView], SharedView] = _once_more
) -> AsyncIterator[Connection]:
    """Change the view shared by everybody in the room, in one transaction with the block; then push it to the room."""

    def edit(state: DesiredState) -> DesiredState:
        return msgspec.structs.replace(state, shared=change(state.shared))

    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.edit_state(connection, meeting, edit)
        if state is None or state.ended:
            raise ended()
        yield connection
    call.services.nodes.push(state)
