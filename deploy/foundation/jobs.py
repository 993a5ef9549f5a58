"""Messages between control and workers outside of it about jobs: claimed by a lease, fenced by the attempt's number.

    POST /internal/v1/jobs/claim         JobRequest -> ClaimedJob, or 204 when there is nothing to do
    POST /internal/v1/jobs/{id}/progress JobProgress -> JobHeld
    POST /internal/v1/jobs/{id}/outcome  JobOutcome -> JobHeld

`held` false says that another worker has the job by now: this one's work has no effect.
"""

from typing import Any

import msgspec

LEASE_SECONDS = 30.0


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`node` is set by a worker that can only process data of the node where it runs."""

    kinds: list[str]
    node: str | None = None


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    subject: str
    attempt: int
    options: dict[str, Any] = {}


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Renews the lease. `progress` is 0 to 1."""

    attempt: int
    progress: float


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """`error` says why there is no result; `again` whether another attempt may have one.

    `released` says that the worker stops or gives way: the attempt does not count, and what it made is kept.
    """

    attempt: int
    result: dict[str, Any] | None = None
    error: str = ""
    again: bool = False
    released: bool = False


class JobHeld(msgspec.Struct, frozen=True, kw_only=True):
    held: bool
