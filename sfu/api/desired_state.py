"""Desired state of a room: one document that control owns and the sfu obeys.

Control PUTs all of it to `/node/v1/rooms/{room}/desired` on the sfu's private address. The sfu also pulls it from
control (`/internal/v1/rooms/{room}/desired`) when the room is created, and every 5 s asks for all of its rooms which
states have changed (`/internal/v1/desired-states`). Only a higher version is applied.
"""

from typing import Annotated, Literal

import msgspec

from sfu.api.join_token import Grants
from sfu.api.placement import Placement

ConsentPolicy = Literal["ask", "implied", "required"]
"""A meeting's policy on consent to recording: everyone is asked, joining implies it, or it is required."""
RecordingNotice = Literal["none", "en", "zh-CN"]
"""The language of the notice that everyone hears when recording begins or they join."""


class DesiredRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that should be running. `started_at` is in Unix milliseconds; `consent_text` is the version shown."""

    recording: str
    started_at: int
    started_by: str
    consent_text: str


class DesiredBroadcast(msgspec.Struct, frozen=True, kw_only=True):
    """A broadcast that should run now: the room's composed picture and sound go out live. `started_at` is in Unix
    milliseconds. Where to, and in which layout, is between control and the recorder.
    """

    broadcast: str
    started_at: int


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Another room of the same meeting."""

    meeting: str
    title: str


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """A host's message to all rooms of a meeting at once. `at` is in Unix milliseconds."""

    id: str
    name: str
    text: str
    at: int


class SharedView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a room's state that everyone sees alike.

    `spotlight` is the participant that hosts enlarged for everyone. A timer runs out at `timer_ends_at` (Unix
    milliseconds). `activities` increases with each change of polls and questions, which pages then request over REST.
    """

    spotlight: str | None = None
    timer_ends_at: int | None = None
    activities: int = 0


class DesiredState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Lock, grants, removals and sinks of a room. `participants` overrides the grants that join tokens carried.

    `elsewhere` lists participants who now belong in another room of the meeting (the main room or a breakout room). A
    breakout room closes at `closes_at` (Unix milliseconds), when anyone still in it is sent to `returns_to`; so is
    anyone in it when it has `ended`, unless the whole meeting has.

    `metadata` belongs to the application, and is sent to clients that understand it.

    `placement` is the room's placement when the document is sent; changing it does not raise `version`.
    """

    room: str
    version: int
    locked: bool = False
    ended: bool = False
    captions: bool = True
    e2ee: bool = False
    recording: DesiredRecording | None = None
    broadcast: DesiredBroadcast | None = None
    consent: ConsentPolicy = "ask"
    notice: RecordingNotice = "none"
    participants: dict[str, Grants] = {}
    removed: tuple[str, ...] = ()
    banned_users: tuple[str, ...] = ()
    elsewhere: dict[str, Destination] = {}
    closes_at: int | None = None
    returns_to: Destination | None = None
    announcement: Announcement | None = None
    metadata: str = ""
    shared: SharedView = SharedView()
    placement: Placement | None = None


MAX_POLLED_ROOMS = 500


class KnownState(msgspec.Struct, frozen=True, kw_only=True):
    """A room as a node knows it: the version in force (-1 if none), and its placement's epoch (0 if unknown)."""

    version: int
    epoch: int = 0


class DesiredPoll(msgspec.Struct, frozen=True, kw_only=True):
    """A node's question about its rooms: which of their states have changed?"""

    node: str
    rooms: Annotated[dict[str, KnownState], msgspec.Meta(max_length=MAX_POLLED_ROOMS)]


class DesiredChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The states that a node does not know yet, and the rooms whose meetings no longer exist.

    `more` says that other states have changed too, for which this answer has no space.
    """

    changed: list[DesiredState] = []
    unknown: list[str] = []
    more: bool = False
