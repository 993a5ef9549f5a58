"""Edits of captions: each text that a caption had, with who wrote it and when."""

from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.store import caption_translations

MOST = 50
"""Maximum number of edited texts of a caption that are kept, besides the recogniser's."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    version: int
    text: str
    written_by: str | None
    """The name of the account; None for the recogniser, and for deleted accounts."""
    written_at: datetime


async def edit(connection: Connection, meeting: str, utterance: str, text: str, user: str | None) -> bool:
    """Change the text of a caption and keep the one before; return False if there is no such caption."""
    found = await connection.fetchrow(
        "SELECT text, said_at FROM captions WHERE meeting_id = $1 AND utterance = $2 FOR UPDATE", meeting, utterance
    )
    if found is None:
        return False
    if found["text"] == text:
        return True
    await connection.execute(
        "INSERT INTO caption_versions (meeting_id, utterance, version, text, written_at) VALUES ($1, $2, 0, $3, $4)"
        " ON CONFLICT DO NOTHING",
        meeting,
        utterance,
        found["text"],
        found["said_at"],
    )
    version = await connection.value(
        int,
        "INSERT INTO caption_versions (meeting_id, utterance, version, text, written_by)"
        " SELECT $1, $2, max(version) + 1, $3, $4 FROM caption_versions WHERE meeting_id = $1 AND utterance = $2"
        " RETURNING version",
        meeting,
        utterance,
        text,
        user,
    )
    await connection.execute(
        "DELETE FROM caption_versions WHERE meeting_id = $1 AND utterance = $2 AND version BETWEEN 1 AND $3",
        meeting,
        utterance,
        version - MOST,
    )
    await connection.execute(
        "UPDATE captions SET text = $3, words = NULL, edited_at = now() WHERE meeting_id = $1 AND utterance = $2",
        meeting,
        utterance,
        text,
    )
    await caption_translations.forget(connection, meeting, utterance)
    return True


async def of_caption(connection: Connection, meeting: str, utterance: str) -> list[VersionRow]:
    """Return the texts of a caption, latest first; one that nobody edited has the recogniser's alone."""
    rows = await connection.all(
        VersionRow,
        "SELECT v.version, v.text, u.display_name AS written_by, v.written_at FROM caption_versions v"
        " LEFT JOIN users u ON u.id = v.written_by WHERE v.meeting_id = $1 AND v.utterance = $2"
        " ORDER BY v.version DESC",
        meeting,
        utterance,
    )
    return rows or await connection.all(
        VersionRow,
        "SELECT 0 AS version, text, NULL::text AS written_by, said_at AS written_at FROM captions"
        " WHERE meeting_id = $1 AND utterance = $2",
        meeting,
        utterance,
    )
