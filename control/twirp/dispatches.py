"""AgentDispatchService: an application sends agents to rooms."""

from datetime import datetime

from livekit.protocol import agent, agent_dispatch

from control import livekit_admission
from control.identity.livekit_tokens import TokenRefused
from control.livekit_admission import RoomWish
from control.store import agent_jobs, livekit_rooms
from control.store.agent_jobs import JobRow
from control.twirp.service import Caller, Method, Service, TwirpError

MAX_METADATA_BYTES = 64_000
_DISPATCH, _JOB = "AD_", "AJ_"
_STATES = {
    "pending": agent.JobStatus.JS_PENDING,
    "running": agent.JobStatus.JS_RUNNING,
    "success": agent.JobStatus.JS_SUCCESS,
    "failed": agent.JobStatus.JS_FAILED,
}


def job_of(row: JobRow) -> "agent.Job":
    """Return a job in the form used by workers and applications."""
    state = agent.JobState(
        status=_STATES[row.state],
        error=row.error,
        participant_identity=row.identity,
        worker_id=row.worker or "",
        started_at=_nanoseconds(row.started_at),
        ended_at=_nanoseconds(row.ended_at),
    )
    return agent.Job(
        id=_JOB + row.id,
        dispatch_id=_DISPATCH + row.id,
        type=agent.JobType.JT_ROOM,
        metadata=row.metadata,
        agent_name=row.agent_name,
        attributes=row.attributes,
        state=state,
    )


def id_of(sid: str) -> str:
    """Return our id of a dispatch or a job."""
    return sid.removeprefix(_DISPATCH).removeprefix(_JOB)


def _nanoseconds(at: datetime | None) -> int:
    return int(at.timestamp() * 1e9) if at is not None else 0


def _dispatch(row: JobRow) -> "agent_dispatch.AgentDispatch":
    job = job_of(row)
    return agent_dispatch.AgentDispatch(
        id=job.dispatch_id,
        agent_name=row.agent_name,
        room=row.room,
        metadata=row.metadata,
        attributes=row.attributes,
        state=agent_dispatch.AgentDispatchState(jobs=[job], created_at=_nanoseconds(row.created_at)),
    )


async def create(caller: Caller, asked: "agent_dispatch.CreateAgentDispatchRequest") -> "agent_dispatch.AgentDispatch":
    """Send an agent to a room, which is created if needed. The job goes to a worker as soon as one is connected."""
    caller.grants_in("room_admin", asked.room)
    told = [asked.metadata, *(part for pair in asked.attributes.items() for part in pair)]
    if sum(len(part.encode()) for part in told) > MAX_METADATA_BYTES or any("\x00" in part for part in told):
        raise TwirpError("invalid_argument", f"metadata and attributes must not exceed {MAX_METADATA_BYTES} bytes")
    async with caller.services.pool.acquire() as connection, connection.transaction():
        try:
            meeting = await livekit_admission.create(caller.services, connection, asked.room, RoomWish())
        except TokenRefused as refused:
            raise TwirpError("not_found", refused.detail) from refused
        row = await agent_jobs.add(
            connection,
            meeting,
            asked.room,
            asked.agent_name[:256],
            metadata=asked.metadata,
            attributes=dict(asked.attributes),
        )
    caller.services.dispatches_changed.set()
    return _dispatch(row)


async def delete(caller: Caller, asked: "agent_dispatch.DeleteAgentDispatchRequest") -> "agent_dispatch.AgentDispatch":
    caller.grants_in("room_admin", asked.room)
    async with caller.services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, asked.room)
        row = None if meeting is None else await agent_jobs.end(connection, meeting, id_of(asked.dispatch_id))
    if row is None:
        raise TwirpError("not_found", "dispatch does not exist")
    caller.services.dispatches_changed.set()
    return _dispatch(row)


async def list_of_room(
    caller: Caller, asked: "agent_dispatch.ListAgentDispatchRequest"
) -> "agent_dispatch.ListAgentDispatchResponse":
    caller.grants_in("room_admin", asked.room)
    async with caller.services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, asked.room)
        rows = [] if meeting is None else await agent_jobs.of_meeting(connection, meeting)
    wanted = id_of(asked.dispatch_id)
    return agent_dispatch.ListAgentDispatchResponse(
        agent_dispatches=[_dispatch(row) for row in rows if wanted in ("", row.id)]
    )


SERVICE: Service = {
    "CreateDispatch": Method(agent_dispatch.CreateAgentDispatchRequest, create),
    "DeleteDispatch": Method(agent_dispatch.DeleteAgentDispatchRequest, delete),
    "ListDispatch": Method(agent_dispatch.ListAgentDispatchRequest, list_of_room),
}
