"""Responses about recordings."""

from typing import Annotated, Literal

import msgspec

from control.api.paging import PageQuery
from control.api.types import Answer, Body, RecordingStatus, Time
from foundation.film_options import FilmOptions


class Recording(Answer, frozen=True, kw_only=True):
    """`state` is `recording`, then `sealing` while being finished, then `ready`, `partial` or `empty`.

    `stalled` is the reason why a running recording cannot be stored at the moment. `problems` are sentences about what
    is missing or was repaired, once it is finished.
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
    held: bool
    """True if the recording is on legal hold, and cannot be deleted."""
    deleted_at: Time | None
    """Time at which retention deletes the recording; null if it is kept."""
    film: str | None = None
    """The combined video, a file of the recording; null until there is one."""
    relevance: float | None = None
    """In a search: the number of captions and titles with one of the words, plus a fraction: newer ones first."""


class HoldRecording(Body, frozen=True, kw_only=True):
    held: bool


class RecordingPageQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`state` selects recordings. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500
    sort: Literal["started_at", "-started_at"] = "-started_at"
    state: RecordingStatus | None = None


class RecordingQuery(RecordingPageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` is words: each is found in the meeting's title, the names of recorded participants, or the captions.

    `sort=-relevance`, only with `search`, puts those with the most matches first.
    """

    sort: Literal["started_at", "-started_at", "relevance", "-relevance"] = "-started_at"  # type: ignore[assignment]
    search: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class StorageState(Answer, frozen=True, kw_only=True):
    """State of the storage: why no recording can be stored now, and how long the disk will last at last week's rate.

    `free_bytes` is null if the store does not report it. `days_left` is also null if nothing was recorded lately.
    `used_bytes` is the size of the recordings of the host (of the caller, in a list of all their meetings), and
    `quota_bytes` the size from which they cannot start another one; null if there is no quota.
    """

    healthy: bool
    problem: str | None
    free_bytes: int | None
    days_left: float | None
    used_bytes: int
    quota_bytes: int | None


class Recordings(Answer, frozen=True, kw_only=True):
    """`next` is the cursor of the next page, null at the end."""

    recordings: list[Recording]
    storage: StorageState
    next: str | None = None


class RecordedTrack(Answer, frozen=True, kw_only=True):
    """One track of a finished recording, in one or more files. `start_ms` counts from the start of the recording."""

    track: str
    participant: str
    name: str
    source: str
    codec: str
    start_ms: int
    duration_ms: int
    files: list[str]


class Chapter(Answer, frozen=True, kw_only=True):
    """A place in a combined video where somebody joined or shared a screen; `start_ms` counts from its start."""

    start_ms: int
    title: str


class Composition(Answer, frozen=True, kw_only=True):
    """The combined video of all participants, created automatically after the end, and again on request.

    `file` is set once the state is `done`. While a new one is created, or if that `failed`, it is the previous one.
    `storyboard` is a WebVTT file whose cues name parts of a JPEG image beside it.
    """

    state: Literal["queued", "running", "done", "failed"]
    progress: float
    file: str | None = None
    bytes: int | None = None
    error: str | None = None
    storyboard: str | None = None
    chapters: list[Chapter] = msgspec.field(default_factory=list)


class Film(Composition, frozen=True, kw_only=True):
    """A combined video that was ordered, with its options."""

    id: str
    options: FilmOptions
    created_at: Time


class Films(Answer, frozen=True, kw_only=True):
    films: list[Film]


class RecordingDetail(Answer, frozen=True, kw_only=True):
    """Files are relative to `/api/v1/recordings/{id}/files/`."""

    recording: Recording
    tracks: list[RecordedTrack]
    composition: Composition | None = None
