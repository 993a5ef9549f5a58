"""Jobs on uploaded files: transcription, emotion analysis, synthesis detection, thumbnails."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from control.ai import emotion_setting
from control.database import Pool
from control.files.images import Images
from control.files.media_store import MediaStore
from control.jobs.worker import Handler, JobFailed, Report
from control.nodes.inference_client import InferenceClient, InferenceFailed
from control.problem import Problem
from control.store import media
from control.store.jobs import JobRow


class FileJobs:
    """Handlers of the jobs. Each raises JobFailed with the reason."""

    def __init__(self, pool: Pool, store: MediaStore, inference: InferenceClient, images: Images) -> None:
        self._pool = pool
        self._store = store
        self._inference = inference
        self._images = images

    def handlers(self) -> dict[str, Handler]:
        """Return the handler of each kind of job."""
        return {"asr": self.transcribe, "emotion": self.look, "synthesis": self.judge, "thumbnail": self.thumbnail}

    async def transcribe(self, job: JobRow, report: Report) -> Any:
        segments: list[Any] = []
        summary: Any = None
        languages = [str(one) for one in job.options.get("languages", [])]
        async with self._content(job.subject) as path:
            async for said in _translated(self._inference.transcribe(path, languages)):
                if "segment" in said:
                    segments.append(said["segment"])
                elif "done" in said:
                    summary = said["done"]
                else:
                    report(_share(said.get("progress")))
        if summary is None:
            raise JobFailed("inference stopped before the end", again=True)
        return {"segments": segments, "summary": summary}

    async def look(self, job: JobRow, report: Report) -> Any:
        async with self._pool.acquire() as connection:
            if not await emotion_setting.is_on(connection):
                raise JobFailed("emotion analysis was switched off")
        async with self._content(job.subject) as path:
            async for said in _translated(self._inference.emotions(path)):
                if "findings" in said:
                    return said["findings"]
                report(_share(said.get("progress")))
        raise JobFailed("inference stopped before the end", again=True)

    async def judge(self, job: JobRow, report: Report) -> Any:
        try:
            async with self._content(job.subject) as path:
                return await self._inference.judge_synthesis(path, str(job.options.get("medium", "voice")))
        except InferenceFailed as failed:
            raise JobFailed(str(failed), again=failed.again) from failed

    async def thumbnail(self, job: JobRow, report: Report) -> Any:
        async with self._pool.acquire() as connection:
            row = await media.by_id(connection, job.subject)
        if row is None:
            raise JobFailed("the file was deleted")
        async with self._content(row.id) as path:
            picture = await self._images.thumbnail(path, row.content_type)
        if picture is None:
            raise JobFailed("the file contains no picture")
        try:
            await self._store.put_bytes(row.id, picture, ".jpg")
        except Problem as problem:
            raise JobFailed(problem.detail, again=True) from problem
        async with self._pool.acquire() as connection:
            kept = await media.set_thumbnail(connection, row.id)
        if not kept:
            await self._store.remove(row.id)
            raise JobFailed("the file was deleted")
        return {"file": row.id}

    @asynccontextmanager
    async def _content(self, identifier: str) -> AsyncIterator[Path]:
        async with AsyncExitStack() as stack:
            try:
                path = await stack.enter_async_context(self._store.local(identifier))
            except FileNotFoundError as error:
                raise JobFailed("the file was deleted") from error
            except OSError as error:
                raise JobFailed(str(error), again=True) from error
            yield path


async def _translated(said: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    try:
        async for one in said:
            yield one
    except InferenceFailed as failed:
        raise JobFailed(str(failed), again=failed.again) from failed
    except Problem as problem:
        raise JobFailed(problem.detail) from problem


def _share(progress: Any) -> float:
    """Return the finished fraction; 0 while inference does not know the length."""
    if not isinstance(progress, dict):
        return 0.0
    done, total = progress.get("read_ms", 0), progress.get("duration_ms", 0)
    return min(1.0, done / total) if isinstance(done, int | float) and isinstance(total, int | float) and total else 0.0
