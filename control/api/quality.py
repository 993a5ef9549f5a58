"""Media quality of a meeting, per participant and track, for its hosts."""

from typing import Annotated, Literal

import msgspec

from control.api.paging import PageQuery, page_of, window_of
from control.api.types import Answer, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.store import quality
from control.store.quality import QualityRow

endpoints = Endpoints("quality", scope="meetings")


class QualityQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`participant` selects the rows of one, `search` those of participants by name.

    `sort` is a field of the entries; a minus reverses the order.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    sort: Literal["id", "-id"] = "-id"
    participant: str | None = None
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class TrackQuality(Answer, frozen=True, kw_only=True):
    """`direction` is publish or subscribe. `loss` is a fraction (0 to 1), `bitrate` is in bits/s.

    `layer` is the last layer, such as "f" or "L1T3". `freezes` counts gaps of a second or longer without a frame;
    `paused` is the seconds paused for lack of bandwidth.
    """

    track: str
    direction: str
    layer: str
    bitrate: int
    loss: float
    jitter_ms: float
    freezes: int
    paused: int


class Quality(Answer, frozen=True, kw_only=True):
    """Measurements of a participant over the `seconds` before `at`; `final` if it left at that time.

    `estimate` is in bits/s. It and `round_trip_ms` are null if unknown: no round trip is measured for a participant
    that only publishes.
    """

    id: int
    participant: str
    at: Time
    seconds: int
    final: bool
    round_trip_ms: float | None
    estimate: int | None
    tracks: list[TrackQuality]


class QualityLog(Answer, frozen=True, kw_only=True):
    measured: list[Quality]
    next: str | None


@endpoints.route("GET", "/api/v1/meetings/<meeting>/quality", Access.HOST, query=QualityQuery, answer=QualityLog)
async def read_quality(call: Call, meeting: str, query: QualityQuery) -> QualityLog:
    """Return media quality, newest first: one row per participant and minute, and one when the participant leaves."""
    window = window_of(query, QualityRow)
    async with call.services.pool.acquire() as connection:
        rows = await quality.page(connection, meeting, query.participant, window, query.search)
    page, following = page_of(rows, query)
    return QualityLog(measured=[_quality(row) for row in page], next=following)


def _quality(row: QualityRow) -> Quality:
    return Quality.from_row(
        row, participant=row.participant_id, tracks=[msgspec.convert(track, TrackQuality) for track in row.tracks]
    )
