"""Transcripts: captions, chat and consents."""

from dataclasses import dataclass
from datetime import datetime

from control.database import Connection, load, load_one
from sfu.api.facts import CaptionFinal, ChatSent, ConsentAnswered


@dataclass(frozen=True, slots=True)
class CaptionRow:
    utterance: str
    participant_id: str
    name: str
    start_ms: int
    end_ms: int
    lang: str
    text: str


@dataclass(frozen=True, slots=True)
class ChatRow:
    message: str
    participant_id: str
    name: str
    recipient_id: str | None
    text: str
    sent_at: datetime
    edited_at: datetime | None


async def add_caption(connection: Connection, caption: CaptionFinal, at: datetime) -> None:
    """Store a final caption, which never changes."""
    await connection.execute(
        "INSERT INTO captions"
        " (meeting_id, utterance, participant_id, track, start_ms, end_ms, lang, text, model, said_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (meeting_id, utterance) DO NOTHING",
        caption.room,
        caption.utterance,
        caption.participant,
        caption.track,
        caption.start_ms,
        caption.end_ms,
        caption.lang,
        caption.text,
        caption.model,
        at,
    )


async def captions(connection: Connection, meeting: str, limit: int, search: str | None = None) -> list[CaptionRow]:
    """Return the captions in order; with `search`, only those that match, ignoring case."""
    rows = await connection.fetch(
        "SELECT c.*, p.name FROM captions c JOIN meeting_participants p ON p.id = c.participant_id"
        " WHERE c.meeting_id = $1 AND ($3::text IS NULL OR strpos(lower(c.text), lower($3)) > 0)"
        " ORDER BY c.said_at, c.start_ms LIMIT $2",
        meeting,
        limit,
        search,
    )
    return [load(CaptionRow, row) for row in rows]


async def captions_within(
    connection: Connection, meeting: str, begin: datetime, duration_ms: int, limit: int
) -> list[CaptionRow]:
    """Return the captions within a period, in order; times count from its start.

    A caption has its time since its room opened, and is stored a moment after it was spoken.
    """
    rows = await connection.fetch(
        "SELECT c.utterance, c.participant_id, p.name, c.lang, c.text, begun.ms AS start_ms,"
        "  begun.ms + c.end_ms - c.start_ms AS end_ms"
        " FROM captions c JOIN meeting_participants p ON p.id = c.participant_id"
        " LEFT JOIN LATERAL (SELECT opened_at FROM meeting_rooms r WHERE r.meeting_id = c.meeting_id"
        "   AND r.opened_at <= c.said_at ORDER BY opened_at DESC LIMIT 1) room ON true"
        " CROSS JOIN LATERAL (SELECT c.start_ms + (1000 * extract(epoch FROM"
        "   coalesce(room.opened_at, c.said_at - c.end_ms * interval '1 millisecond') - $2))::bigint AS ms) begun"
        " WHERE c.meeting_id = $1 AND c.said_at >= $2 AND begun.ms BETWEEN 0 AND $3 ORDER BY begun.ms LIMIT $4",
        meeting,
        begin,
        duration_ms,
        limit,
    )
    return [load(CaptionRow, row) for row in rows]


async def add_chat(connection: Connection, chat: ChatSent, at: datetime) -> None:
    await connection.execute(
        "INSERT INTO signaling_messages (meeting_id, message, participant_id, name, recipient_id, text, sent_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (meeting_id, message) DO NOTHING",
        chat.room,
        chat.message,
        chat.participant,
        chat.name,
        chat.to,
        chat.text,
        at,
    )


async def chat(
    connection: Connection, meeting: str, reader: str | None, limit: int, before: tuple[datetime, str] | None
) -> list[ChatRow]:
    """Return a page of messages, newest first, that participant `reader` may see; None sees only public ones."""
    moment, last = before or (None, None)
    rows = await connection.fetch(
        "SELECT * FROM signaling_messages WHERE meeting_id = $1 AND deleted_at IS NULL"
        " AND (recipient_id IS NULL OR recipient_id = $2 OR participant_id = $2)"
        " AND ($3::timestamptz IS NULL OR (sent_at, message) < ($3, $4::text))"
        " ORDER BY sent_at DESC, message DESC LIMIT $5",
        meeting,
        reader,
        moment,
        last,
        limit,
    )
    return [load(ChatRow, row) for row in rows]


async def message(connection: Connection, meeting: str, identifier: str) -> ChatRow | None:
    row = await connection.fetchrow(
        "SELECT * FROM signaling_messages WHERE meeting_id = $1 AND message = $2 AND deleted_at IS NULL",
        meeting,
        identifier,
    )
    return load_one(ChatRow, row)


async def edit_message(connection: Connection, meeting: str, identifier: str, text: str) -> ChatRow | None:
    row = await connection.fetchrow(
        "UPDATE signaling_messages SET text = $3, edited_at = now()"
        " WHERE meeting_id = $1 AND message = $2 AND deleted_at IS NULL RETURNING *",
        meeting,
        identifier,
        text,
    )
    return load_one(ChatRow, row)


async def delete_message(connection: Connection, meeting: str, identifier: str) -> None:
    """Delete the text of a message. Its row stays, so that no repeated fact restores it."""
    await connection.execute(
        "UPDATE signaling_messages SET text = '', deleted_at = now() WHERE meeting_id = $1 AND message = $2",
        meeting,
        identifier,
    )


async def add_consent(connection: Connection, consent: ConsentAnswered, at: datetime) -> None:
    await connection.execute(
        "INSERT INTO consents (meeting_id, participant_id, consent, granted, text_version, given_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        consent.room,
        consent.participant,
        consent.consent,
        consent.granted,
        consent.text,
        at,
    )


async def consented(connection: Connection, meeting: str, participant: str) -> bool:
    """Return whether a participant's latest answer consents to being recorded."""
    return bool(
        await connection.fetchval(
            "SELECT granted FROM consents WHERE meeting_id = $1 AND participant_id = $2 AND consent = 'recording'"
            " ORDER BY given_at DESC, id DESC LIMIT 1",
            meeting,
            participant,
        )
    )


async def forget_chat(connection: Connection, days: int) -> None:
    await connection.execute("DELETE FROM signaling_messages WHERE sent_at < now() - make_interval(days => $1)", days)


async def forget_captions(connection: Connection, days: int) -> None:
    await connection.execute("DELETE FROM captions WHERE said_at < now() - make_interval(days => $1)", days)
