"""Shared document of a meeting: its notes and whiteboard, as updates of a CRDT that only the page reads.

Pages send updates to each other over data channels, and store them here for later participants. A page that has read
many updates replaces them with one that contains them all.
"""

from typing import Annotated

import msgspec

from control.api.types import Answer, Body
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings import grants
from control.meetings.ending import ended
from control.problem import Problem, forbidden
from control.store import documents, meetings, participants, rooms

endpoints = Endpoints("activities", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/document"
_MAX_BYTES = 1024 * 1024
_MAX_UPDATE = 180_000
_MAX_UPDATES = 2_000
_WINDOW = 60
_Number = Annotated[int, msgspec.Meta(ge=0)]


class DocumentQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query parameters. `after` is the number of the last known update."""

    after: _Number = 0


class NewUpdate(Body, frozen=True, kw_only=True):
    """An update (base64). It contains those numbered from the first to the last of `replaces`, which are deleted."""

    update: Annotated[bytes, msgspec.Meta(min_length=1, max_length=_MAX_UPDATE)]
    replaces: tuple[_Number, _Number] | None = None


class DocumentUpdate(Answer, frozen=True, kw_only=True):
    id: int
    update: bytes


class DocumentUpdates(Answer, frozen=True, kw_only=True):
    """Updates, oldest first."""

    updates: list[DocumentUpdate]


class Stored(Answer, frozen=True, kw_only=True):
    """The number of the update."""

    id: int


@endpoints.route("GET", _PATH, Access.PARTICIPANT, query=DocumentQuery, answer=DocumentUpdates)
async def read_document(call: Call, meeting: str, query: DocumentQuery) -> DocumentUpdates:
    """Return the updates of the meeting's shared document, all at once from `after` on, since they belong together."""
    async with call.services.pool.acquire() as connection:
        rows = await documents.updates(connection, meeting, query.after)
    return DocumentUpdates(updates=[DocumentUpdate(id=row.id, update=row.data) for row in rows])


@endpoints.route("POST", _PATH, Access.PARTICIPANT, body=NewUpdate, answer=Stored, status=201)
async def write_document(call: Call, meeting: str, body: NewUpdate) -> Stored:
    """Add an update to the shared document, which holds at most 1 MiB. The caller needs the right to send data."""
    person = call.standing.participant
    if person is None:
        raise forbidden("Join the meeting first.")
    await call.services.limits.spend("document", person.id, 120, _WINDOW)
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if state is None or state.ended:
            raise ended()
        if not await participants.is_inside(connection, person.id):
            raise Problem(403, "not_in_room", "Connect to the meeting first.")
        settings = grants.settings_of(call.standing.meeting)
        if not grants.current(state, person.id, person.role, settings).data:
            raise Problem(403, "not_permitted", "You are not allowed to write in this meeting.")
        if state.e2ee:
            raise Problem(409, "document_sealed", "End-to-end encrypted meetings have no shared document.")
        if body.replaces is not None:
            await documents.remove(connection, meeting, *body.replaces)
        kept = await documents.size(connection, meeting)
        if kept.updates >= _MAX_UPDATES or kept.bytes + len(body.update) > _MAX_BYTES:
            raise Problem(409, "document_full", "The shared document is full.")
        number = await documents.add(connection, meeting, body.update)
    return Stored(id=number)
