"""Messages about jobs between control and external workers: claimed by a lease, fenced by the attempt's number.

    POST /internal/v1/jobs/claim         JobRequest -> ClaimedJob, or 204 if there is no job
    POST /internal/v1/jobs/{id}/progress JobProgress -> JobHeld
    POST /internal/v1/jobs/{id}/outcome  JobOutcome -> JobHeld

`held` false means that another worker now has the job: this one's work has no effect.
"""

from typing import Any

import msgspec

LEASE_SECONDS = 30.0


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a job; `node` is set by a worker that can only process data on its own node."""

    kinds: list[str]
    node: str | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A caption of a recording. Times are in ms since it began."""

    start_ms: int
    end_ms: int
    name: str
    text: str


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job for a worker. `said` are the captions of the recording, if its film has them."""

    id: str
    kind: str
    subject: str
    attempt: int
    options: dict[str, Any] = {}
    said: list[Said] = []


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a job, from 0 to 1, which renews the lease."""

    attempt: int
    progress: float


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a job. `error` is the reason that there is no result; `again`: another attempt may succeed.

    `released`: the worker stops or yields; the attempt does not count, and its intermediate results are kept.
    """

    attempt: int
    result: dict[str, Any] | None = None
    error: str = ""
    again: bool = False
    released: bool = False


class JobHeld(msgspec.Struct, frozen=True, kw_only=True):
    held: bool
