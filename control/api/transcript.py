"""Transcript of a meeting: its captions, as JSON and WebVTT, and its chat."""

from collections.abc import Sequence

from quart import Response

from control import transcript_formats
from control.api.conversation_types import (
    CaptionQuery,
    Captions,
    ChatMessage,
    ChatPage,
    EditMessage,
    MessageQuery,
    MessageReaction,
    caption_line,
)
from control.api.paging import page_of, window_of
from control.api.types import Done
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.problem import forbidden, not_found
from control.store import outbox, transcript
from control.store.transcript import CaptionRow, ChatRow, ReactionRow

endpoints = Endpoints("captions and chat", scope="meetings")
_MAX_CAPTIONS = 20_000


@endpoints.route("GET", "/api/v1/meetings/<meeting>/captions", Access.TEXT, query=CaptionQuery, answer=Captions)
async def list_captions(call: Call, meeting: str, query: CaptionQuery) -> Captions:
    """Return up to 20,000 captions, all at once in the order of the meeting clock; with `search`, those that match."""
    return Captions(captions=[caption_line(row) for row in await _captions(call, meeting, query.search)])


@endpoints.route("GET", "/api/v1/meetings/<meeting>/captions.vtt", Access.TEXT, content_type="text/vtt")
async def get_webvtt(call: Call, meeting: str) -> Response:
    """Return the captions as WebVTT with speakers as voice spans."""
    text = transcript_formats.as_webvtt(await _captions(call, meeting))
    return Response(text, 200, {"Cache-Control": "no-store"}, content_type="text/vtt; charset=utf-8")


@endpoints.route("GET", "/api/v1/meetings/<meeting>/messages", Access.TEXT, query=MessageQuery, answer=ChatPage)
async def list_messages(call: Call, meeting: str, query: MessageQuery) -> ChatPage:
    """Return the chat messages that the caller may see. The first page has the latest; each begins with its oldest.

    With `sort=sent_at`, the first page has the oldest.
    """
    window = window_of(query, ChatRow, "message")
    reader = call.standing.participant.id if call.standing.participant else None
    async with call.services.pool.acquire() as connection:
        rows = await transcript.chat(connection, meeting, reader, window, query.search)
        page, following = page_of(rows, query, "message")
        reactions = await transcript.reactions(connection, meeting, [row.message for row in page])
    ordered = reversed(page) if window.descending else page
    return ChatPage(messages=[_public(row, reactions) for row in ordered], next=following)


@endpoints.route(
    "PUT", "/api/v1/meetings/<meeting>/messages/<message>", Access.TEXT, body=EditMessage, answer=ChatMessage
)
async def edit_message(call: Call, meeting: str, message: str, body: EditMessage) -> ChatMessage:
    """Change the text of one of the caller's messages."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await _own_message(call, connection, meeting, message)
        edited = await transcript.edit_message(connection, meeting, row.message, body.text)
        reactions = await transcript.reactions(connection, meeting, [row.message])
        payload = {"meeting": meeting, "message": message, "text": body.text}
        await outbox.append(connection, outbox.SIGNALING_EVENTS, meeting, "chat.edited", payload)
    assert edited is not None
    return _public(edited, reactions)


@endpoints.route("DELETE", "/api/v1/meetings/<meeting>/messages/<message>", Access.TEXT, answer=Done)
async def delete_message(call: Call, meeting: str, message: str) -> Done:
    """Delete one of the caller's messages. Hosts may delete any public one."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await _own_message(call, connection, meeting, message, hosts_too=True)
        await transcript.delete_message(connection, meeting, row.message)
        payload = {"meeting": meeting, "message": message}
        await outbox.append(connection, outbox.SIGNALING_EVENTS, meeting, "chat.deleted", payload)
    return Done()


async def _own_message(
    call: Call, connection: Connection, meeting: str, message: str, *, hosts_too: bool = False
) -> ChatRow:
    """Return a message that the caller may change; raises Problem 404 if hidden, 403 if another's."""
    row = await transcript.message(connection, meeting, message)
    reader = call.standing.participant.id if call.standing.participant else None
    if row is None or (row.recipient_id is not None and reader not in {row.recipient_id, row.participant_id}):
        raise not_found("There is no such message.")
    if row.participant_id != reader and not (hosts_too and call.standing.is_host and row.recipient_id is None):
        raise forbidden("This message belongs to somebody else.")
    return row


def _public(row: ChatRow, reactions: Sequence[ReactionRow]) -> ChatMessage:
    return ChatMessage.from_row(
        row,
        id=row.message,
        participant=row.participant_id,
        to=row.recipient_id,
        at=row.sent_at,
        reactions=[MessageReaction.from_row(one) for one in reactions if one.message == row.message],
    )


async def _captions(call: Call, meeting: str, search: str | None = None) -> list[CaptionRow]:
    async with call.services.pool.acquire() as connection:
        return await transcript.captions(connection, meeting, _MAX_CAPTIONS, search)
