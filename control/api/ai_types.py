"""Requests and responses of AI jobs and their results."""

from typing import Annotated, Any, Literal

import msgspec

from control.api.types import Answer, Body, Time

FileId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}$")]
Task = Literal["asr", "emotion", "synthesis", "thumbnail"]


class Transcribe(Body, frozen=True, kw_only=True):
    """`file` is an uploaded file. A single entry in `languages` is the language spoken; several are candidates."""

    file: FileId
    languages: Annotated[tuple[Language, ...], msgspec.Meta(max_length=20)] = ()


class JudgeSynthesis(Body, frozen=True, kw_only=True):
    """Check whether a voice or face in the file is synthetic."""

    file: FileId
    medium: Literal["voice", "face"] = "voice"


class AboutFile(Body, frozen=True, kw_only=True):
    file: FileId


class Process(Body, frozen=True, kw_only=True):
    file: FileId
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1, max_length=4)]


class ProcessMany(Body, frozen=True, kw_only=True):
    files: Annotated[tuple[FileId, ...], msgspec.Meta(min_length=1, max_length=20)]
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1, max_length=4)]


class Job(Answer, frozen=True, kw_only=True):
    """`progress` is from 0 to 1. `result` is set once the job is done, `error` if it failed."""

    id: str
    kind: str
    file: str
    state: Literal["queued", "running", "done", "failed"]
    progress: float
    result: Any
    error: str | None
    created_at: Time
    finished_at: Time | None


class Jobs(Answer, frozen=True, kw_only=True):
    jobs: list[Job]


class KeptResult(Answer, frozen=True, kw_only=True):
    """Result of a job on a file; `id` is the job's."""

    id: str
    task: str
    result: Any
    created_at: Time


class KeptResults(Answer, frozen=True, kw_only=True):
    results: list[KeptResult]


class SetUp(Body, frozen=True, kw_only=True):
    """`acknowledged` is the version of the statement; switching emotion analysis on requires it."""

    emotion: bool
    acknowledged: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class AiSetup(Answer, frozen=True, kw_only=True):
    """State of emotion analysis, and the statement of what the law forbids."""

    emotion: bool
    statement: str
    statement_version: str


class AnalysisOffer(Answer, frozen=True, kw_only=True):
    """Captions and analyses that a participant can be asked to consent to.

    `translation` lists the languages (BCP 47) to which a language model translates captions, usually none; with
    `minutes`, one writes minutes from them.
    """

    emotion: bool
    synthesis: bool
    captions: bool
    translation: list[str]
    minutes: bool


class TrackAnalysis(Answer, frozen=True, kw_only=True):
    """Analysis of a live track: its emotion (null while emotion analysis is off), and whether it is synthetic."""

    meeting: str
    track: str
    participant: str
    media: str
    emotion: Any
    synthesis: Any


class Analysed(Answer, frozen=True, kw_only=True):
    tracks: list[TrackAnalysis]


class AiHealth(Answer, frozen=True, kw_only=True):
    """`reason` is why captions are unavailable."""

    status: str
    captions: bool
    reason: str | None
    model: str | None


class AiInfo(Answer, frozen=True, kw_only=True):
    models: list[dict[str, Any]]
    recogniser: str | None
    synthesis: dict[str, Any]
    emotion: dict[str, bool]


class AiStreams(Answer, frozen=True, kw_only=True):
    """The tracks that inference is receiving."""

    streams: list[dict[str, Any]]


class AiStats(Answer, frozen=True, kw_only=True):
    streams: int
    files: int
    segments: int
    failed: int
