"""Requests and responses of breakout rooms."""

from typing import Annotated

import msgspec

from control.api.types import Answer, Body, Text, Time

_Someone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class NewBreakout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A room to create, with the participants of the main room to assign to it."""

    title: Text
    participants: Annotated[list[_Someone], msgspec.Meta(max_length=500)] = []


class CreateBreakouts(Body, frozen=True, kw_only=True):
    """With `automatic`, everyone in the main room except hosts is spread evenly.

    `may_choose`: participants may move to any room themselves; `may_return`: they may return to the main room.
    """

    rooms: Annotated[list[NewBreakout], msgspec.Meta(min_length=1, max_length=50)]
    automatic: bool = False
    may_choose: bool = False
    may_return: bool = True


class MoveToBreakout(Body, frozen=True, kw_only=True):
    """`participant` is one of the main room, by default the caller; a null `room` is the main room."""

    participant: _Someone | None = None
    room: _Someone | None = None


class AnnounceToBreakouts(Body, frozen=True, kw_only=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class CloseBreakouts(Body, frozen=True, kw_only=True):
    countdown_seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 30


class Breakout(Answer, frozen=True, kw_only=True):
    """`id` is that of its meeting. `participants` of the main room are assigned to it; `present` are in it.

    It counts down to `closes_at` and is then closed. Its chat, captions and recordings stay.
    """

    id: str
    title: str
    participants: list[str]
    present: int
    closes_at: Time | None


class Breakouts(Answer, frozen=True, kw_only=True):
    """`place` is the caller's current room, null for the main room."""

    open: bool
    may_choose: bool
    may_return: bool
    place: str | None
    rooms: list[Breakout]
