"""Paths for clients of an older system. Each does the same as its current path."""

from quart import Response

from control.api import administration, joining, meetings, recordings, transcript
from control.api.admin_types import Statistics
from control.api.conversation_types import ChatPage
from control.api.live_types import OfMeeting
from control.api.meeting_types import RoomState
from control.api.meetings import PageQuery
from control.api.participant_types import Joined, JoinMeeting, Waiting
from control.api.recording_types import Recording, RecordingQuery, Recordings
from control.api.types import Done
from control.auth import access
from control.auth.access import Access
from control.endpoint import Call, Endpoints, with_standing

endpoints = Endpoints("older paths", scope="meetings")
of_recordings = Endpoints("older paths", scope="recordings")
of_administration = Endpoints("older paths", scope="admin")


@endpoints.route("POST", "/api/v1/meetings/<meeting>/room", Access.HOST, answer=RoomState)
async def open_meeting_room(call: Call, meeting: str) -> RoomState:
    """Start the meeting; its room opens with the first who joins."""
    await meetings.start_meeting(call, meeting)
    return await meetings.get_room(call, meeting)


@endpoints.route("DELETE", "/api/v1/meetings/<meeting>/room", Access.HOST, answer=Done)
async def close_meeting_room(call: Call, meeting: str) -> Done:
    """End the meeting for everyone."""
    return await meetings.end_meeting(call, meeting)


@endpoints.route(
    "POST",
    "/api/v1/webrtc/room/<meeting>/join",
    Access.MEETING,
    body=JoinMeeting,
    answer=Joined,
    others={202: Waiting},
)
async def join_webrtc_room(call: Call, meeting: str, body: JoinMeeting) -> Joined | Response:
    """Join the meeting."""
    return await joining.join_meeting(call, meeting, body)


@endpoints.route("POST", "/api/v1/webrtc/room/<meeting>/leave", Access.PARTICIPANT, answer=Done)
async def leave_webrtc_room(call: Call, meeting: str) -> Done:
    """Leave the meeting."""
    return await joining.leave_meeting(call, meeting)


@endpoints.route("GET", "/api/v1/messages/history/<meeting>", Access.TEXT, query=PageQuery, answer=ChatPage)
async def list_message_history(call: Call, meeting: str, query: PageQuery) -> ChatPage:
    """Return the meeting's chat."""
    return await transcript.list_messages(call, meeting, query)


@of_recordings.route("POST", "/api/v1/recording/start", Access.SIGNED_IN, body=OfMeeting, answer=Recording, status=201)
async def start_recording_of(call: Call, body: OfMeeting) -> Recording:
    """Start recording the meeting named in the body."""
    return await recordings.start_recording(await _recorder(call, body.meeting), body.meeting)


@of_recordings.route("POST", "/api/v1/recording/stop", Access.SIGNED_IN, body=OfMeeting, answer=Recording)
async def stop_recording_of(call: Call, body: OfMeeting) -> Recording:
    """Stop recording the meeting named in the body."""
    return await recordings.stop_recording(await _recorder(call, body.meeting), body.meeting)


@of_recordings.route("GET", "/api/v1/recording/status/<recording>", Access.RECORDING, answer=Recording)
async def get_recording_status(call: Call, recording: str) -> Recording:
    """Return the state of a recording."""
    return (await recordings.get_recording(call, recording)).recording


@of_recordings.route("GET", "/api/v1/recording/list", Access.USER, answer=Recordings)
async def list_own_recordings(call: Call) -> Recordings:
    """List the recordings that the caller may access."""
    return await recordings.list_recordings(call, RecordingQuery())


@of_recordings.route("DELETE", "/api/v1/recording/<recording>", Access.RECORDING, answer=Done)
async def delete_one_recording(call: Call, recording: str) -> Done:
    """Delete a finished recording."""
    return await recordings.delete_recording(call, recording)


@of_administration.route("GET", "/api/v1/stats/overview", Access.ADMIN, answer=Statistics)
async def get_overview(call: Call) -> Statistics:
    """Count what there is."""
    return await administration.get_statistics(call)


async def _recorder(call: Call, meeting: str) -> Call:
    async with call.services.pool.acquire() as connection:
        standing = await access.in_meeting(connection, Access.RECORDER, call.principal, meeting)
    return with_standing(call, standing)
