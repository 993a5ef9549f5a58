"""Requests and responses of captions, chat and minutes."""

from typing import Annotated, Literal

import msgspec

from control.api.paging import PageQuery
from control.api.types import Answer, Body, Time
from control.store.transcript import CaptionRow


class Minutes(Answer, frozen=True, kw_only=True):
    """`state` is none, writing, ready or failed. `lines` counts the captions; `error` is the reason for a failure."""

    state: str
    lines: int
    text: str | None
    model: str | None
    error: str | None


class CaptionWord(Answer, frozen=True, kw_only=True):
    """A word with the space before it and the punctuation after it. Times are right to about 0.2 s."""

    text: str
    start_ms: int
    end_ms: int


class CaptionLine(Answer, frozen=True, kw_only=True):
    """Times are on the meeting clock: milliseconds since the room opened."""

    utterance: str
    participant: str
    name: str
    start_ms: int
    end_ms: int
    lang: str
    text: str
    edited_at: Time | None
    """Time of the last edit of the text; null if it is the recogniser's."""
    words: list[CaptionWord]
    """The text in parts with their times; empty if these are unknown, and after an edit."""


class EditCaption(Body, frozen=True, kw_only=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=r"\S")]


class CaptionVersion(Answer, frozen=True, kw_only=True):
    """A text that a caption had. `written_by` is null for the recogniser, and for a deleted account."""

    version: int
    text: str
    written_by: str | None
    written_at: Time


class CaptionVersions(Answer, frozen=True, kw_only=True):
    versions: list[CaptionVersion]


class TranscriptQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["vtt", "srt", "txt"] = "vtt"


def caption_line(row: CaptionRow) -> CaptionLine:
    words = [
        CaptionWord(text=text, start_ms=row.start_ms + begin, end_ms=row.start_ms + end)
        for text, begin, end in row.words or ()
    ]
    return CaptionLine.from_row(row, participant=row.participant_id, words=words)


class CaptionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the text, ignoring case."""

    search: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class Captions(Answer, frozen=True, kw_only=True):
    captions: list[CaptionLine]


_Id = Annotated[str, msgspec.Meta(max_length=64)]


class MessageReaction(Answer, frozen=True, kw_only=True):
    """A reaction: an emoji on a message, and the participants who added it."""

    emoji: str
    participants: list[str]


class ChatMessage(Answer, frozen=True, kw_only=True):
    """`reply_to` is the message that it answers, `file` an attached upload."""

    id: str
    participant: str
    name: str
    text: str
    to: str | None
    reply_to: str | None
    file: str | None
    at: Time
    edited_at: Time | None
    reactions: list[MessageReaction]


class EditMessage(Body, frozen=True, kw_only=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class SendMessage(Body, frozen=True, kw_only=True):
    """`to` names one participant; null is everyone. `reply_to` and `file` are as in ChatMessage."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]
    to: _Id | None = None
    reply_to: _Id | None = None
    file: _Id | None = None


class MessageQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the text. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["sent_at", "-sent_at"] = "-sent_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ChatPage(Answer, frozen=True, kw_only=True):
    """Messages, newest last."""

    messages: list[ChatMessage]
    next: str | None
