"""Translations of captions, kept for other readers of the same language until the caption is edited or deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection


@dataclass(frozen=True, slots=True)
class LineRow:
    """A caption; `translated` is its translation, None if there is none yet."""

    utterance: str
    lang: str
    text: str
    said_at: datetime
    start_ms: int
    translated: str | None


async def lines(connection: Connection, meeting: str, utterances: list[str], language: str) -> list[LineRow]:
    """Return the stored ones of these captions, in order."""
    return await connection.all(
        LineRow,
        "SELECT c.utterance, c.lang, c.text, c.said_at, c.start_ms, t.text AS translated FROM captions c"
        " LEFT JOIN caption_translations t ON t.meeting_id = c.meeting_id AND t.utterance = c.utterance"
        "  AND t.language = $3 WHERE c.meeting_id = $1 AND c.utterance = ANY($2)"
        " ORDER BY c.said_at, c.start_ms, c.utterance",
        meeting,
        utterances,
        language,
    )


async def before(connection: Connection, meeting: str, line: LineRow, count: int) -> list[str]:
    """Return the texts of up to `count` captions before a line, in order."""
    texts = await connection.column(
        "SELECT text FROM captions WHERE meeting_id = $1 AND (said_at, start_ms) < ($2, $3)"
        " ORDER BY said_at DESC, start_ms DESC LIMIT $4",
        meeting,
        line.said_at,
        line.start_ms,
        count,
    )
    return texts[::-1]


async def keep(
    connection: Connection, meeting: str, language: str, translations: Mapping[str, str], texts: Mapping[str, str]
) -> None:
    """Store translations of `texts`, both by utterance, except of captions that were edited or deleted meanwhile."""
    utterances = list(translations)
    await connection.execute(
        "INSERT INTO caption_translations (meeting_id, utterance, language, text)"
        " SELECT c.meeting_id, c.utterance, $2, made.text FROM unnest($3::text[], $4::text[], $5::text[])"
        "  AS made (utterance, text, source) JOIN captions c ON c.meeting_id = $1 AND c.utterance = made.utterance"
        "  AND c.text = made.source FOR SHARE OF c ON CONFLICT DO NOTHING",
        meeting,
        language,
        utterances,
        [translations[one] for one in utterances],
        [texts[one] for one in utterances],
    )


async def forget(connection: Connection, meeting: str, utterance: str) -> None:
    """Delete the translations of a caption."""
    await connection.execute(
        "DELETE FROM caption_translations WHERE meeting_id = $1 AND utterance = $2", meeting, utterance
    )
