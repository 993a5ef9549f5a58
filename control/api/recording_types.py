"""Answers about recordings."""

from typing import Annotated, Literal

import msgspec

from control.api.types import Answer, RecordingStatus, Time


class Recording(Answer, frozen=True, kw_only=True):
    """`recording`, then `sealing` while it is finished, then `ready`, `partial` when something was lost, or `empty`.

    `stalled` says why nothing is kept of it at the moment, while it runs. `problems` are sentences about what is
    missing from it, or was put right, once it is finished.
    """

    id: str
    meeting: str
    title: str
    state: RecordingStatus
    started_at: Time
    stopped_at: Time | None
    duration_ms: int | None
    bytes: int | None
    stalled: str | None
    problems: list[str]


class RecordingQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` is part of the meeting's title, of the name of who was recorded, or of what was said meanwhile."""

    search: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class StorageState(Answer, frozen=True, kw_only=True):
    """Whether a recording could be kept now, else the reason; and how long the disk lasts at the last week's pace.

    `free_bytes` is null where recordings are kept in a store that does not say; `days_left` also while nothing was
    recorded lately.
    """

    healthy: bool
    problem: str | None
    free_bytes: int | None
    days_left: float | None


class Recordings(Answer, frozen=True, kw_only=True):
    recordings: list[Recording]
    storage: StorageState


class RecordedTrack(Answer, frozen=True, kw_only=True):
    """One track of a finished recording, in one file or more. `start_ms` is since the start of the recording."""

    track: str
    participant: str
    name: str
    source: str
    codec: str
    start_ms: int
    duration_ms: int
    files: list[str]


class Composition(Answer, frozen=True, kw_only=True):
    """The film of all participants, made by itself after the end, and once more when that is asked for.

    `file` is there once it is `done`; while it is made once more, and when that `failed`, it is the one before.
    """

    state: Literal["queued", "running", "done", "failed"]
    progress: float
    file: str | None = None
    bytes: int | None = None
    error: str | None = None


class RecordingDetail(Answer, frozen=True, kw_only=True):
    """Files are relative to `/api/v1/recordings/{id}/files/`."""

    recording: Recording
    tracks: list[RecordedTrack]
    composition: Composition | None = None
