"""AI results as rows that belong to their file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection


@dataclass(frozen=True, slots=True)
class AiResult:
    """Result of a job on a file, under the job's id; `result` is any JSON object."""

    id: str
    file_id: str
    task: str
    result: Any
    created_at: datetime


async def add(connection: Connection, row: AiResult) -> None:
    """Store a job's result if its file exists; repeating the job changes nothing."""
    await connection.execute(
        "INSERT INTO ai_tasks (id, file_id, task, result, created_at)"
        " SELECT $1, id, $3, $4, $5 FROM media_files WHERE id = $2 ON CONFLICT (id) DO NOTHING",
        row.id,
        row.file_id,
        row.task,
        row.result,
        row.created_at,
    )


async def of_file(connection: Connection, file: str) -> list[AiResult]:
    return await connection.all(AiResult, "SELECT * FROM ai_tasks WHERE file_id = $1 ORDER BY created_at, id", file)
