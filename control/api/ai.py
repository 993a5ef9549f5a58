"""AI: the state of inference, and its jobs on uploaded files."""

from typing import Any, TypeVar

import msgspec

from control.api.ai_setup import require_emotion
from control.api.ai_types import (
    AboutFile,
    AiHealth,
    AiInfo,
    AiStats,
    AiStreams,
    Job,
    Jobs,
    JudgeSynthesis,
    KeptResult,
    KeptResults,
    Process,
    ProcessMany,
    Transcribe,
)
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.problem import Problem, not_found
from control.store import jobs, media
from control.store.jobs import JobRow

endpoints = Endpoints("AI and jobs", scope="media")
_MAX_WAITING = 50
Kind = TypeVar("Kind", bound=msgspec.Struct)


def public_job(row: JobRow) -> Job:
    return Job.from_row(row, file=row.subject)


@endpoints.route("GET", "/api/v1/ai/health", Access.USER, answer=AiHealth)
async def get_ai_health(call: Call) -> AiHealth:
    """Return whether inference works, and whether it can caption."""
    return await _ask(call, "health", AiHealth)


endpoints.alias(endpoints.of(get_ai_health), "GET", "/api/v1/ai/connectivity", "get_ai_connectivity")


@endpoints.route("GET", "/api/v1/ai/info", Access.USER, answer=AiInfo)
async def get_ai_info(call: Call) -> AiInfo:
    """Return the available models."""
    return await _ask(call, "info", AiInfo)


@endpoints.route("GET", "/api/v1/ai/streams", Access.ADMIN, answer=AiStreams)
async def list_ai_streams(call: Call) -> AiStreams:
    """List the tracks that inference is receiving, all at once: a server analyses a limited number."""
    return await _ask(call, "streams", AiStreams)


@endpoints.route("GET", "/api/v1/ai/stats", Access.ADMIN, answer=AiStats)
async def get_ai_stats(call: Call) -> AiStats:
    """Return counters of inference."""
    return await _ask(call, "stats", AiStats)


@endpoints.route("POST", "/api/v1/ai/asr", Access.USER, body=Transcribe, answer=Job, status=202)
async def transcribe_file(call: Call, body: Transcribe) -> Job:
    """Queue the transcription of a file."""
    return (await _queue(call, [body.file], ["asr"], {"languages": list(body.languages)}))[0]


@endpoints.route("POST", "/api/v1/ai/synthesis", Access.USER, body=JudgeSynthesis, answer=Job, status=202)
async def judge_synthesis(call: Call, body: JudgeSynthesis) -> Job:
    """Queue a check of whether a file is synthetic. Without a model, the verdict says so."""
    return (await _queue(call, [body.file], ["synthesis"], {"medium": body.medium}))[0]


@endpoints.route("POST", "/api/v1/ai/emotion", Access.USER, body=AboutFile, answer=Job, status=202)
async def judge_emotion(call: Call, body: AboutFile) -> Job:
    """Queue emotion analysis of the faces and voices in a file; 409 while it is switched off."""
    return (await _queue(call, [body.file], ["emotion"], {}))[0]


@endpoints.route("POST", "/api/v1/ai/analyze", Access.USER, body=Process, answer=Jobs, status=202)
async def analyze_file(call: Call, body: Process) -> Jobs:
    """Queue several jobs on a file."""
    return Jobs(jobs=await _queue(call, [body.file], list(dict.fromkeys(body.tasks)), {}))


endpoints.alias(endpoints.of(analyze_file), "POST", "/api/v1/media/process", "process_file")


@endpoints.route("POST", "/api/v1/ai/batch", Access.USER, body=ProcessMany, answer=Jobs, status=202)
async def analyze_files(call: Call, body: ProcessMany) -> Jobs:
    """Queue several jobs on several files."""
    files, tasks = list(dict.fromkeys(body.files)), list(dict.fromkeys(body.tasks))
    return Jobs(jobs=await _queue(call, files, tasks, {}))


@endpoints.route("POST", "/api/v1/ffmpeg/thumbnail", Access.USER, body=AboutFile, answer=Job, status=202)
async def make_thumbnail(call: Call, body: AboutFile) -> Job:
    """Queue a thumbnail of an image or video."""
    return (await _queue(call, [body.file], ["thumbnail"], {}))[0]


@endpoints.route("GET", "/api/v1/ai/results/<file>", Access.USER, answer=KeptResults)
async def list_results(call: Call, file: str) -> KeptResults:
    """List the results of one of the caller's files, oldest first and all at once: at most one of each kind."""
    async with call.services.pool.acquire() as connection:
        await _own_file(call, connection, file)
    try:
        found = await call.services.results.about(file)
    except OSError as error:
        raise Problem(503, "results_unavailable", "The result store is not answering. Try again later.") from error
    return KeptResults(results=[KeptResult.from_row(one) for one in found])


@endpoints.route("GET", "/api/v1/jobs/<job>", Access.USER, answer=Job)
async def get_job(call: Call, job: str) -> Job:
    """Return one of the caller's jobs."""
    async with call.services.pool.acquire() as connection:
        row = await jobs.by_id(connection, job)
    if row is None or (row.owner_id != call.user.user and call.user.role != "admin"):
        raise not_found("There is no such job.")
    return public_job(row)


endpoints.alias(endpoints.of(get_job), "GET", "/api/v1/ffmpeg/job/<job>/status", "get_job_status")


async def _ask(call: Call, what: str, kind: type[Kind]) -> Kind:
    document = await call.services.inference.ask(what)
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise Problem(502, "ai_answer", "Inference sent an invalid response.") from error


async def _queue(call: Call, files: list[str], tasks: list[Any], options: dict[str, Any]) -> list[Job]:
    if "emotion" in tasks:
        await require_emotion(call)
    async with call.services.pool.acquire() as connection, connection.transaction():
        waiting = await jobs.waiting_of(connection, call.user.user)
        if waiting + len(files) * len(tasks) > _MAX_WAITING:
            raise Problem(429, "too_many_jobs", "You have too many waiting jobs.", {"Retry-After": "60"})
        made = []
        for file in files:
            await _own_file(call, connection, file)
            for task in tasks:
                made.append(await jobs.create(connection, task, file, call.user.user, options))
    return [public_job(row) for row in made]


async def _own_file(call: Call, connection: Connection, file: str) -> None:
    row = await media.by_id(connection, file)
    if row is None or (row.owner_id != call.user.user and call.user.role != "admin"):
        raise not_found("There is no such file.")
