"""Polls and questions of meetings, with their votes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection


@dataclass(frozen=True, slots=True)
class PollRow:
    """A poll. `counts` has the votes for each option, `voters` the number of voters, `own` the reader's choice."""

    id: str
    question: str
    options: list[str]
    multiple: bool
    closed_at: datetime | None
    counts: list[int]
    voters: int
    own: list[int] | None


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question. `participant_id` and `name` are its author's; `own` is true if the reader voted for it."""

    id: str
    participant_id: str
    name: str
    text: str
    anonymous: bool
    asked_at: datetime
    answered_at: datetime | None
    votes: int
    own: bool


async def add_poll(
    connection: Connection, meeting: str, poll: str, question: str, options: Sequence[str], *, multiple: bool
) -> None:
    await connection.insert(
        "polls", id=poll, meeting_id=meeting, question=question, options=list(options), multiple=multiple
    )


async def count_polls(connection: Connection, meeting: str) -> int:
    return await connection.value(int, "SELECT count(*) FROM polls WHERE meeting_id = $1", meeting)


async def polls(connection: Connection, meeting: str, reader: str | None, poll: str | None = None) -> list[PollRow]:
    """Return the polls, newest first, or only one of them."""
    return await connection.all(
        PollRow,
        "SELECT p.*, (SELECT count(*) FROM poll_votes v WHERE v.poll_id = p.id) AS voters,"
        " (SELECT v.options FROM poll_votes v WHERE v.poll_id = p.id AND v.participant_id = $2) AS own,"
        " ARRAY(SELECT (SELECT count(*) FROM poll_votes v WHERE v.poll_id = p.id AND n::smallint = ANY(v.options))"
        "   FROM generate_series(0, cardinality(p.options) - 1) n ORDER BY n) AS counts"
        " FROM polls p WHERE p.meeting_id = $1 AND ($3::text IS NULL OR p.id = $3) ORDER BY p.created_at DESC",
        meeting,
        reader,
        poll,
    )


async def vote(connection: Connection, poll: str, participant: str, options: Sequence[int]) -> None:
    """Store a vote in place of the participant's earlier one."""
    await connection.insert(
        "poll_votes",
        then="ON CONFLICT (poll_id, participant_id) DO UPDATE SET options = excluded.options",
        poll_id=poll,
        participant_id=participant,
        options=list(options),
    )


async def close_poll(connection: Connection, meeting: str, poll: str) -> bool:
    """Close a poll; return False if there is none."""
    closed = await connection.fetchval(
        "UPDATE polls SET closed_at = coalesce(closed_at, now()) WHERE meeting_id = $1 AND id = $2 RETURNING id",
        meeting,
        poll,
    )
    return closed is not None


async def delete_poll(connection: Connection, meeting: str, poll: str) -> bool:
    """Delete a poll with its votes; return False if there is none."""
    gone = await connection.fetchval("DELETE FROM polls WHERE meeting_id = $1 AND id = $2 RETURNING id", meeting, poll)
    return gone is not None


async def add_question(
    connection: Connection, meeting: str, question: str, participant: str, text: str, *, anonymous: bool
) -> None:
    await connection.insert(
        "questions", id=question, meeting_id=meeting, participant_id=participant, text=text, anonymous=anonymous
    )


async def count_questions(connection: Connection, meeting: str) -> int:
    return await connection.value(int, "SELECT count(*) FROM questions WHERE meeting_id = $1", meeting)


async def questions(
    connection: Connection, meeting: str, reader: str | None, question: str | None = None
) -> list[QuestionRow]:
    """Return the questions, most votes first, or only one of them."""
    return await connection.all(
        QuestionRow,
        "SELECT q.*, p.name, (SELECT count(*) FROM question_votes v WHERE v.question_id = q.id) AS votes,"
        " EXISTS (SELECT FROM question_votes v WHERE v.question_id = q.id AND v.participant_id = $2) AS own"
        " FROM questions q JOIN meeting_participants p ON p.id = q.participant_id"
        " WHERE q.meeting_id = $1 AND ($3::text IS NULL OR q.id = $3) ORDER BY votes DESC, q.asked_at",
        meeting,
        reader,
        question,
    )


async def support(connection: Connection, question: str, participant: str, *, wanted: bool) -> None:
    """Add or remove a participant's vote for a question."""
    if wanted:
        await connection.insert(
            "question_votes", then="ON CONFLICT DO NOTHING", question_id=question, participant_id=participant
        )
    else:
        await connection.execute(
            "DELETE FROM question_votes WHERE question_id = $1 AND participant_id = $2", question, participant
        )


async def answer_question(connection: Connection, question: str, *, answered: bool) -> None:
    await connection.execute(
        "UPDATE questions SET answered_at = CASE WHEN $2 THEN coalesce(answered_at, now()) END WHERE id = $1",
        question,
        answered,
    )


async def delete_question(connection: Connection, question: str) -> None:
    await connection.execute("DELETE FROM questions WHERE id = $1", question)
