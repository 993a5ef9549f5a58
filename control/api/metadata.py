"""Metadata of meetings and participants: text of an application, which the server keeps and shows to the room."""

import msgspec

from control.api.types import Answer, Body, Metadata
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import Problem, not_found
from control.store import audit, meetings, participants, rooms
from sfu.api.desired_state import DesiredState
from sfu.api.room_acts import DescribeParticipant

endpoints = Endpoints("meetings", scope="meetings")
_PATH = "/api/v1/meetings/<meeting>/metadata"
_OF_PARTICIPANT = "/api/v1/meetings/<meeting>/participants/<participant>/metadata"
_MAX_BYTES = 4000
"""A participant's metadata is part of its join token, which must fit into an HTTP header."""


class ChangeMetadata(Body, frozen=True, kw_only=True):
    """At most 4,000 bytes in UTF-8."""

    metadata: Metadata


class MetadataAnswer(Answer, frozen=True, kw_only=True):
    metadata: str


def check_size(metadata: str) -> None:
    """Raise Problem 400 for metadata that is too long."""
    if len(metadata.encode()) > _MAX_BYTES:
        raise Problem(400, "invalid_request", f"Metadata must not exceed {_MAX_BYTES} bytes.")


@endpoints.route("GET", _PATH, Access.PARTICIPANT, answer=MetadataAnswer)
async def get_metadata(call: Call, meeting: str) -> MetadataAnswer:
    """Return the meeting's metadata."""
    async with call.services.pool.acquire() as connection:
        state = await rooms.state(connection, meeting)
    return MetadataAnswer(metadata="" if state is None else state.metadata)


@endpoints.route("PUT", _PATH, Access.HOST, body=ChangeMetadata, answer=MetadataAnswer)
async def change_metadata(call: Call, meeting: str, body: ChangeMetadata) -> MetadataAnswer:
    """Replace the meeting's metadata. Everyone in the room is told."""
    check_size(body.metadata)

    def edit(state: DesiredState) -> DesiredState:
        return msgspec.structs.replace(state, metadata=body.metadata)

    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.edit_state(connection, meeting, edit)
        await audit.write(connection, call.actor, "meeting.metadata_changed", meeting, call.address)
    call.services.nodes.push(state)
    return MetadataAnswer(metadata=body.metadata)


@endpoints.route("GET", _OF_PARTICIPANT, Access.PARTICIPANT, answer=MetadataAnswer)
async def get_participant_metadata(call: Call, meeting: str, participant: str) -> MetadataAnswer:
    """Return the metadata that the application gave to a participant."""
    async with call.services.pool.acquire() as connection:
        person = await participants.by_id(connection, meeting, participant)
    if person is None:
        raise not_found("There is no such participant in this meeting.")
    return MetadataAnswer(metadata=person.metadata)


@endpoints.route("PUT", _OF_PARTICIPANT, Access.HOST, body=ChangeMetadata, answer=MetadataAnswer)
async def change_participant_metadata(
    call: Call, meeting: str, participant: str, body: ChangeMetadata
) -> MetadataAnswer:
    """Replace a participant's metadata. Everyone in the room is told."""
    check_size(body.metadata)
    async with call.services.pool.acquire() as connection, connection.transaction():
        if await participants.by_id(connection, meeting, participant) is None:
            raise not_found("There is no such participant in this meeting.")
        await participants.set_metadata(connection, participant, body.metadata)
        await audit.write(
            connection, call.actor, "participant.metadata_changed", participant, call.address, meeting=meeting
        )
    # A participant who is not there is shown with it from its next join on.
    await call.services.nodes.act(meeting, DescribeParticipant(participant=participant, metadata=body.metadata))
    return MetadataAnswer(metadata=body.metadata)
