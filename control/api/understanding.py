"""Captions, as JSON and as WebVTT, and the chat that was."""

from quart import Response

from control.api.meetings import PageQuery, decode_cursor, encode_cursor
from control.api.types import CaptionLine, Captions, ChatMessage, ChatPage
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.store import understanding
from control.webvtt import render

endpoints = Endpoints("captions and chat", scope="meetings")
_MAX_CAPTIONS = 20_000


@endpoints.route("GET", "/api/v1/meetings/<meeting>/captions", Access.PARTICIPANT, answer=Captions)
async def list_captions(call: Call, meeting: str) -> Captions:
    """Return what was said, in the order of the meeting clock."""
    return Captions(captions=await _lines(call, meeting))


@endpoints.route("GET", "/api/v1/meetings/<meeting>/captions.vtt", Access.PARTICIPANT, content_type="text/vtt")
async def get_webvtt(call: Call, meeting: str) -> Response:
    """Return the captions as WebVTT, with speakers as voice spans."""
    text = render(await _lines(call, meeting))
    return Response(text, 200, {"Cache-Control": "no-store"}, content_type="text/vtt; charset=utf-8")


@endpoints.route("GET", "/api/v1/meetings/<meeting>/messages", Access.PARTICIPANT, query=PageQuery, answer=ChatPage)
async def list_messages(call: Call, meeting: str, query: PageQuery) -> ChatPage:
    """Return the latest chat messages that the caller may see, oldest of them first."""
    before = decode_cursor(query.cursor)
    reader = call.standing.participant.id if call.standing.participant else None
    async with call.services.pool.acquire() as connection:
        rows = await understanding.chat(connection, meeting, reader, query.limit + 1, before)
    page = rows[: query.limit]
    following = encode_cursor(page[-1].sent_at, page[-1].message) if len(rows) > query.limit else None
    messages = [
        ChatMessage(
            id=row.message,
            participant=row.participant_id,
            name=row.name,
            text=row.text,
            to=row.recipient_id,
            at=row.sent_at,
        )
        for row in reversed(page)
    ]
    return ChatPage(messages=messages, next=following)


async def _lines(call: Call, meeting: str) -> list[CaptionLine]:
    async with call.services.pool.acquire() as connection:
        rows = await understanding.captions(connection, meeting, _MAX_CAPTIONS)
    return [
        CaptionLine(
            utterance=row.utterance,
            participant=row.participant_id,
            name=row.name,
            start_ms=row.start_ms,
            end_ms=row.end_ms,
            lang=row.lang,
            text=row.text,
        )
        for row in rows
    ]
