"""Films of recordings: jobs for the recorder that finished one, or for any if recordings are in an object store."""

from control.database import Connection
from control.store import jobs
from control.store.jobs import JobRow

KIND = "compose"


async def queue(connection: Connection, recording: str, node: str, host: str, duration_ms: int) -> None:
    """Queue the film of a recording that `node` finished, in its host's queue."""
    await jobs.queue_anew(connection, KIND, recording, {"node": node}, line=host, seconds=duration_ms / 1000)


async def latest(connection: Connection, recording: str) -> JobRow | None:
    return await jobs.latest_about(connection, KIND, recording)
