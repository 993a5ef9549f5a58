"""Desired state of a room: one document that control owns and the sfu obeys.

Control PUTs it whole to `/node/v1/rooms/{room}/desired` on the sfu's private address; the sfu also pulls it from
control (`/internal/v1/rooms/{room}/desired`) when the room is created, on reconnect and every 5 s. Only a higher
version is applied.
"""

import msgspec

from sfu.api.join_token import Grants
from sfu.api.placement import Placement


class DesiredRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that should run now. `started_at` is in Unix milliseconds; `consent_text` is the version shown."""

    recording: str
    started_at: int
    started_by: str
    consent_text: str


class DesiredState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Lock, grants, removals and sinks of a room. `participants` overrides the grants that join tokens carried.

    `placement` is where the room lives as the document is sent; it is not part of what `version` counts.
    """

    room: str
    version: int
    locked: bool = False
    ended: bool = False
    captions: bool = True
    e2ee: bool = False
    recording: DesiredRecording | None = None
    participants: dict[str, Grants] = {}
    removed: tuple[str, ...] = ()
    banned_users: tuple[str, ...] = ()
    placement: Placement | None = None
