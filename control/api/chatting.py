"""Chat over REST: delivered to the live room and stored like chat over signaling."""

import secrets
from datetime import UTC, datetime

import aiohttp
import msgspec

from control.api.conversation_types import ChatMessage, SendMessage
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings import grants
from control.meetings.ending import ended
from control.problem import Problem, forbidden, not_found
from control.store import meetings, outbox, participants, rooms, transcript
from control.store.participants import ParticipantRow
from sfu.api import signaling
from sfu.api.facts import ChatSent

endpoints = Endpoints("captions and chat", scope="meetings")
_WINDOW = 60


@endpoints.route(
    "POST",
    "/api/v1/meetings/<meeting>/messages",
    Access.TEXT,
    body=SendMessage,
    answer=ChatMessage,
    status=201,
)
async def send_message(call: Call, meeting: str, body: SendMessage) -> ChatMessage:
    """Send a message to everyone, or to one participant."""
    person = call.standing.participant
    if person is None:
        raise forbidden("Join the meeting first.")
    await _check_shown(call, person)
    await call.services.limits.spend("chat", person.id, 60, _WINDOW)
    at = datetime.now(UTC)
    fact = ChatSent(
        room=meeting,
        at=int(at.timestamp() * 1000),
        message=f"m-{secrets.token_hex(8)}",
        participant=person.id,
        name=person.name,
        text=body.text,
        to=body.to,
        reply_to=body.reply_to,
        file=body.file,
    )
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if state is None or state.ended:
            raise ended()
        settings = grants.settings_of(call.standing.meeting)
        if not grants.current(state, person.id, person.role, settings).chat:
            raise Problem(403, "not_permitted", "You are not allowed to chat in this meeting.")
        if body.to is not None and await participants.by_id(connection, meeting, body.to) is None:
            raise not_found("There is no such participant in this meeting.")
        await transcript.add_chat(connection, fact, at)
        payload = {"meeting": meeting, **msgspec.to_builtins(fact)}
        for name in ("kind", "room"):
            payload.pop(name)
        await outbox.append(connection, outbox.SIGNALING_EVENTS, meeting, "chat.sent", payload)
    await _say(call, fact)
    return ChatMessage.from_row(fact, id=fact.message, at=at, edited_at=None, reactions=[])


async def _check_shown(call: Call, person: ParticipantRow) -> None:
    """Refuse a caller who is not in the room, unless it is a host."""
    if call.standing.is_host:
        return
    async with call.services.pool.acquire() as connection:
        if not await participants.is_inside(connection, person.id):
            raise Problem(403, "not_in_room", "Connect to the meeting first.")


async def _say(call: Call, fact: ChatSent) -> None:
    """Deliver to the live room. The message is stored even if the node is unreachable."""
    node = await call.services.nodes.of_meeting(fact.room)
    if node is None:
        return
    said = signaling.Chat(
        text=fact.text,
        to=fact.to,
        reply_to=fact.reply_to,
        file=fact.file,
        id=fact.message,
        participant=fact.participant,
        name=fact.name,
        at=fact.at,
    )
    try:
        await call.services.nodes.chat(node, fact.room, said)
    except (aiohttp.ClientError, TimeoutError) as error:
        call.services.tasks.log_failure(error)
