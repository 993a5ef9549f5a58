"""Paths for clients of an older system. Each does the same as its current counterpart."""

from control.api import administration, joining, meetings, participants, recordings, transcript
from control.api.live_types import OfMeeting
from control.api.meeting_types import RoomState
from control.api.participant_types import RemoveParticipant
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
    """Start the meeting; its room opens when the first participant joins."""
    await meetings.start_meeting(call, meeting)
    return await meetings.get_room(call, meeting)


@endpoints.route("DELETE", "/api/v1/meetings/<meeting>/participants/<participant>", Access.HOST, answer=Done)
async def delete_participant(call: Call, meeting: str, participant: str) -> Done:
    """Remove a participant, without a ban."""
    return await participants.remove_participant(call, meeting, participant, RemoveParticipant())


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
    """List the newest 500 recordings that the caller may access, all at once."""
    return await recordings.list_recordings(call, RecordingQuery())


endpoints.alias(meetings.endpoints.of(meetings.list_meetings), "GET", "/api/v1/my/meetings", "list_my_meetings")
endpoints.alias(
    meetings.endpoints.of(meetings.end_meeting), "DELETE", "/api/v1/meetings/<meeting>/room", "close_meeting_room"
)
endpoints.alias(
    joining.endpoints.of(joining.join_meeting), "POST", "/api/v1/webrtc/room/<meeting>/join", "join_webrtc_room"
)
endpoints.alias(
    joining.endpoints.of(joining.leave_meeting), "POST", "/api/v1/webrtc/room/<meeting>/leave", "leave_webrtc_room"
)
endpoints.alias(
    transcript.endpoints.of(transcript.list_messages),
    "GET",
    "/api/v1/messages/history/<meeting>",
    "list_message_history",
)
of_recordings.alias(
    recordings.endpoints.of(recordings.delete_recording),
    "DELETE",
    "/api/v1/recording/<recording>",
    "delete_one_recording",
)
of_administration.alias(
    administration.endpoints.of(administration.get_statistics), "GET", "/api/v1/stats/overview", "get_overview"
)


async def _recorder(call: Call, meeting: str) -> Call:
    async with call.services.pool.acquire() as connection:
        standing = await access.in_meeting(connection, Access.RECORDER, call.principal, meeting)
    return with_standing(call, standing)
