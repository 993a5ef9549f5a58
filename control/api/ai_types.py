"""Bodies and answers about understanding files, and about jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from control.api.types import Answer, Body

FileId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}$")]
Task = Literal["asr", "synthesis", "thumbnail"]


class Transcribe(Body, frozen=True, kw_only=True):
    """`file` was uploaded; one of `languages` is taken as given, several as the expectation."""

    file: FileId
    languages: Annotated[tuple[Language, ...], msgspec.Meta(max_length=20)] = ()


class JudgeSynthesis(Body, frozen=True, kw_only=True):
    """Whether a voice or face in the file was generated."""

    file: FileId
    medium: Literal["voice", "face"] = "voice"


class AboutFile(Body, frozen=True, kw_only=True):
    file: FileId


class Process(Body, frozen=True, kw_only=True):
    file: FileId
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1, max_length=3)]


class ProcessMany(Body, frozen=True, kw_only=True):
    files: Annotated[tuple[FileId, ...], msgspec.Meta(min_length=1, max_length=20)]
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1, max_length=3)]


class Job(Answer, frozen=True, kw_only=True):
    """`progress` is from 0 to 1. `result` is there once it is done, `error` when it failed."""

    id: str
    kind: str
    file: str
    state: Literal["queued", "running", "done", "failed"]
    progress: float
    result: Any
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class Jobs(Answer, frozen=True, kw_only=True):
    jobs: list[Job]


class NoVerdict(Answer, frozen=True, kw_only=True):
    """No model that deserves trust is to be had; nothing is guessed."""

    verdict: None
    reason: str


class AiHealth(Answer, frozen=True, kw_only=True):
    """`reason` says why there are no captions."""

    status: str
    captions: bool
    reason: str | None
    model: str | None


class AiInfo(Answer, frozen=True, kw_only=True):
    models: list[dict[str, Any]]
    recogniser: str | None
    synthesis: dict[str, Any]
    emotion: str


class AiStreams(Answer, frozen=True, kw_only=True):
    """The tracks that are listened to now."""

    streams: list[dict[str, Any]]


class AiStats(Answer, frozen=True, kw_only=True):
    streams: int
    files: int
    segments: int
    failed: int
