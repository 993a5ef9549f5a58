"""Minutes of ended meetings."""

from control.api.conversation_types import Minutes
from control.api.types import Done
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.jobs.minutes import KIND
from control.problem import Problem
from control.store import jobs, minutes

endpoints = Endpoints("captions and chat", scope="meetings")


@endpoints.route("GET", "/api/v1/meetings/<meeting>/minutes", Access.TEXT, answer=Minutes)
async def get_minutes(call: Call, meeting: str) -> Minutes:
    """Return the minutes that a language model wrote, or why there are none."""
    async with call.services.pool.acquire() as connection:
        row = await minutes.of(connection, meeting)
    if row is None:
        return Minutes(state="none", lines=0, text=None, model=None, error=None)
    return Minutes.from_row(row)


@endpoints.route("POST", "/api/v1/meetings/<meeting>/minutes", Access.HOST, answer=Done, status=202)
async def write_minutes(call: Call, meeting: str) -> Done:
    """Queue the minutes of an ended meeting to be written again."""
    if call.standing.meeting.status != "ended":
        raise Problem(409, "not_ended", "The meeting has not ended.")
    async with call.services.pool.acquire() as connection, connection.transaction():
        await jobs.queue_anew(connection, KIND, meeting, {})
    return Done()
