"""Data about an account, read in pages, for its owner's export."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from control.database import Connection, Pool

_PAGE = 1000
_ACCOUNT = {
    "account": "SELECT id, username, email, email_verified_at, display_name, role, state, created_at"
    " FROM users WHERE id = $1",
    "sessions": "SELECT id, created_at, last_used_at, expires_at, user_agent, address"
    " FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL ORDER BY created_at",
    "passkeys": "SELECT id, name, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY created_at",
    "api_keys": "SELECT id, name, scopes, created_at, expires_at, last_used_at FROM api_keys WHERE user_id = $1"
    " ORDER BY created_at",
    "notifications": "SELECT film, minutes, sign_in, reminder, lobby, language FROM notification_switches"
    " WHERE user_id = $1",
}
_LISTS = {
    "files": "SELECT id, name, content_type, bytes, meeting_id, created_at FROM media_files"
    " WHERE owner_id = $1 AND ($2::text IS NULL OR id > $2) ORDER BY id LIMIT $3",
    "recordings": "SELECT r.id, r.meeting_id, m.title, r.started_at, r.stopped_at, r.state, r.bytes"
    " FROM meeting_recordings r JOIN meetings m ON m.id = r.meeting_id"
    " WHERE m.host_id = $1 AND ($2::text IS NULL OR r.id > $2) ORDER BY r.id LIMIT $3",
    "hosted-meetings": "SELECT id, title, description, status, settings, scheduled_start, scheduled_end, created_at,"
    " started_at, ended_at FROM meetings WHERE host_id = $1 AND ($2::text IS NULL OR id > $2) ORDER BY id LIMIT $3",
    "attended-meetings": "SELECT p.meeting_id AS id, m.title, p.id AS participant, p.name, p.role, p.joined_at,"
    " p.left_at FROM meeting_participants p JOIN meetings m ON m.id = p.meeting_id"
    " WHERE p.user_id = $1 AND ($2::text IS NULL OR p.meeting_id > $2) ORDER BY p.meeting_id LIMIT $3",
}
"""Lists, by the name of their files: queries of a page after an id."""
_SAID = {
    "messages": "SELECT message AS id, recipient_id, text, reply_to, file, sent_at FROM signaling_messages"
    " WHERE meeting_id = $1 AND participant_id = $2 AND deleted_at IS NULL AND ($3::text IS NULL OR message > $3)"
    " ORDER BY message LIMIT $4",
    "captions": "SELECT utterance AS id, text, lang, said_at FROM captions"
    " WHERE meeting_id = $1 AND participant_id = $2 AND ($3::text IS NULL OR utterance > $3)"
    " ORDER BY utterance LIMIT $4",
}
"""Messages and captions of somebody in a meeting: queries of a page after an id."""


async def pages(pool: Pool, user: str) -> AsyncIterator[tuple[str, bytes]]:
    """Yield files of JSON with their names. No connection is held while a file is sent."""
    async with pool.acquire() as connection:
        yield "account.json", _json({name: await _rows(connection, query, user) for name, query in _ACCOUNT.items()})
    for name, query in _LISTS.items():
        async for number, rows in _paged(pool, query, user):
            yield f"{name}-{number}.json", _json(rows)
            if name != "attended-meetings":
                continue
            for meeting in rows:
                for kind, of_kind in _SAID.items():
                    async for page, said in _paged(pool, of_kind, meeting["id"], meeting["participant"]):
                        yield f"{kind}/{meeting['id']}-{page}.json", _json(said)


async def _paged(pool: Pool, query: str, *values: str) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """Yield numbered pages of a query, without empty ones."""
    last: str | None = None
    number = 0
    while True:
        async with pool.acquire() as connection:
            rows = await _rows(connection, query, *values, last, _PAGE)
        if rows:
            number += 1
            yield number, rows
        if len(rows) < _PAGE:
            return
        last = rows[-1]["id"]


async def _rows(connection: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(query, *values)]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, default=_text).encode()


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
