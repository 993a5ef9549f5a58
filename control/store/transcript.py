"""Transcripts: captions, chat and consents."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from control.database import Connection
from control.store.recordings import HELD_MEETINGS
from control.store.window import Window, rows
from sfu.api.facts import CaptionFinal, ChatSent, ConsentAnswered, MessageReacted


@dataclass(frozen=True, slots=True)
class CaptionRow:
    utterance: str
    participant_id: str
    name: str
    start_ms: int
    end_ms: int
    lang: str
    text: str
    edited_at: datetime | None = None
    words: list[tuple[str, int, int]] | None = None
    """The parts of the text with their first and last milliseconds since the caption's start; None if unknown."""


@dataclass(frozen=True, slots=True)
class ChatRow:
    message: str
    participant_id: str
    name: str
    recipient_id: str | None
    text: str
    reply_to: str | None
    file: str | None
    sent_at: datetime
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReactionRow:
    """A reaction: an emoji on a message, and the participants who added it, earliest first."""

    message: str
    emoji: str
    participants: list[str]


_MAX_EMOJIS = 12
"""Maximum number of emojis of one participant on one message."""


async def add_caption(connection: Connection, caption: CaptionFinal, at: datetime) -> None:
    """Store a final caption. A repeated one does not undo an edit."""
    await connection.insert(
        "captions",
        then="ON CONFLICT (meeting_id, utterance) DO NOTHING",
        meeting_id=caption.room,
        utterance=caption.utterance,
        participant_id=caption.participant,
        track=caption.track,
        start_ms=caption.start_ms,
        end_ms=caption.end_ms,
        lang=caption.lang,
        text=caption.text,
        model=caption.model,
        said_at=at,
        words=[msgspec.structs.astuple(word) for word in caption.words] or None,
    )


async def captions(connection: Connection, meeting: str, limit: int, search: str | None = None) -> list[CaptionRow]:
    """Return the captions in order; with `search`, only those that match, ignoring case."""
    return await connection.all(
        CaptionRow,
        "SELECT c.*, p.name FROM captions c JOIN meeting_participants p ON p.id = c.participant_id"
        " WHERE c.meeting_id = $1 AND ($3::text IS NULL OR strpos(lower(c.text), lower($3)) > 0)"
        " ORDER BY c.said_at, c.start_ms, c.utterance LIMIT $2",
        meeting,
        limit,
        search,
    )


async def captions_within(
    connection: Connection, meeting: str, begin: datetime, duration_ms: int, limit: int
) -> list[CaptionRow]:
    """Return the captions within a period, in order; times count from its start.

    A caption's own times count from the opening of its room. It is stored shortly after it was spoken.
    """
    return await connection.all(
        CaptionRow,
        "SELECT c.utterance, c.participant_id, p.name, c.lang, c.text, c.edited_at, c.words, begun.ms AS start_ms,"
        "  begun.ms + c.end_ms - c.start_ms AS end_ms"
        " FROM captions c JOIN meeting_participants p ON p.id = c.participant_id"
        " LEFT JOIN LATERAL (SELECT opened_at FROM meeting_rooms r WHERE r.meeting_id = c.meeting_id"
        "   AND r.opened_at <= c.said_at ORDER BY opened_at DESC LIMIT 1) room ON true"
        " CROSS JOIN LATERAL (SELECT c.start_ms + (1000 * extract(epoch FROM"
        "   coalesce(room.opened_at, c.said_at - c.end_ms * interval '1 millisecond') - $2))::bigint AS ms) begun"
        " WHERE c.meeting_id = $1 AND c.said_at >= $2 AND begun.ms BETWEEN 0 AND $3"
        " ORDER BY begun.ms, c.utterance LIMIT $4",
        meeting,
        begin,
        duration_ms,
        limit,
    )


async def add_chat(connection: Connection, chat: ChatSent, at: datetime) -> None:
    await connection.insert(
        "signaling_messages",
        then="ON CONFLICT (meeting_id, message) DO NOTHING",
        meeting_id=chat.room,
        message=chat.message,
        participant_id=chat.participant,
        name=chat.name,
        recipient_id=chat.to,
        text=chat.text,
        reply_to=chat.reply_to,
        file=chat.file,
        sent_at=at,
    )


async def chat(
    connection: Connection, meeting: str, reader: str | None, window: Window, search: str = ""
) -> list[ChatRow]:
    """Return a page of messages that participant `reader` may see; None sees only public ones."""
    return await rows(
        connection,
        ChatRow,
        "SELECT * FROM signaling_messages WHERE meeting_id = $1 AND deleted_at IS NULL"
        " AND (recipient_id IS NULL OR recipient_id = $2 OR participant_id = $2)"
        " AND position(lower($3) IN lower(text)) > 0",
        window,
        meeting,
        reader,
        search,
        key="message",
    )


async def react(connection: Connection, reaction: MessageReacted, at: datetime) -> None:
    """Add an emoji to a message that the participant may see, or remove it."""
    if not reaction.on:
        await connection.execute(
            "DELETE FROM message_reactions"
            " WHERE meeting_id = $1 AND message = $2 AND participant_id = $3 AND emoji = $4",
            reaction.room,
            reaction.message,
            reaction.participant,
            reaction.emoji,
        )
        return
    await connection.execute(
        "INSERT INTO message_reactions (meeting_id, message, participant_id, emoji, reacted_at)"
        " SELECT m.meeting_id, m.message, p.id, $4, $5"
        " FROM signaling_messages m JOIN meeting_participants p ON p.id = $3"
        " WHERE m.meeting_id = $1 AND m.message = $2 AND m.deleted_at IS NULL"
        " AND (m.recipient_id IS NULL OR p.id IN (m.recipient_id, m.participant_id))"
        " AND (SELECT count(*) FROM message_reactions r"
        "   WHERE r.meeting_id = $1 AND r.message = $2 AND r.participant_id = $3) < $6"
        " ON CONFLICT DO NOTHING",
        reaction.room,
        reaction.message,
        reaction.participant,
        reaction.emoji,
        at,
        _MAX_EMOJIS,
    )


async def reactions(connection: Connection, meeting: str, messages: Sequence[str]) -> list[ReactionRow]:
    """Return the reactions to some messages, earliest emoji first."""
    return await connection.all(
        ReactionRow,
        "SELECT message, emoji, array_agg(participant_id ORDER BY reacted_at, participant_id) AS participants"
        " FROM message_reactions WHERE meeting_id = $1 AND message = ANY($2)"
        " GROUP BY message, emoji ORDER BY message, min(reacted_at), emoji",
        meeting,
        list(messages),
    )


async def message(connection: Connection, meeting: str, identifier: str) -> ChatRow | None:
    return await connection.one(
        ChatRow,
        "SELECT * FROM signaling_messages WHERE meeting_id = $1 AND message = $2 AND deleted_at IS NULL",
        meeting,
        identifier,
    )


async def edit_message(connection: Connection, meeting: str, identifier: str, text: str) -> ChatRow | None:
    return await connection.one(
        ChatRow,
        "UPDATE signaling_messages SET text = $3, edited_at = now()"
        " WHERE meeting_id = $1 AND message = $2 AND deleted_at IS NULL RETURNING *",
        meeting,
        identifier,
        text,
    )


async def delete_message(connection: Connection, meeting: str, identifier: str) -> None:
    """Delete the text of a message. Its row stays, so that a repeated fact does not restore it."""
    await connection.execute(
        "UPDATE signaling_messages SET text = '', file = NULL, deleted_at = now()"
        " WHERE meeting_id = $1 AND message = $2",
        meeting,
        identifier,
    )


async def add_consent(connection: Connection, consent: ConsentAnswered, at: datetime) -> None:
    await connection.insert(
        "consents",
        meeting_id=consent.room,
        participant_id=consent.participant,
        consent=consent.consent,
        granted=consent.granted,
        text_version=consent.text,
        given_at=at,
    )


async def consented(connection: Connection, meeting: str, participant: str) -> bool:
    """Return whether a participant's latest answer consents to being recorded."""
    return await connection.value(
        bool,
        "SELECT granted FROM consents WHERE meeting_id = $1 AND participant_id = $2 AND consent = 'recording'"
        " ORDER BY given_at DESC, id DESC LIMIT 1",
        meeting,
        participant,
    )


async def forget_chat(connection: Connection, days: int) -> None:
    """Delete messages older than `days`, except those of meetings with a recording on hold."""
    await connection.execute(
        "DELETE FROM signaling_messages WHERE sent_at < now() - make_interval(days => $1)"  # noqa: S608  constants
        f" AND meeting_id NOT IN {HELD_MEETINGS}",
        days,
    )


async def forget_captions(connection: Connection, days: int) -> None:
    """Delete captions older than `days`, except those of meetings with a recording on hold."""
    await connection.execute(
        "DELETE FROM captions WHERE said_at < now() - make_interval(days => $1)"  # noqa: S608  constants
        f" AND meeting_id NOT IN {HELD_MEETINGS}",
        days,
    )
