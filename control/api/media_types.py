"""Requests and responses of uploaded files."""

from typing import Annotated

import msgspec

from control.api.types import Answer, Time


class UploadQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`meeting` shares the file with that meeting's participants."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    meeting: str | None = None


class MediaFile(Answer, frozen=True, kw_only=True):
    """`content_type` is detected from the content."""

    id: str
    name: str
    content_type: str
    bytes: int
    sha256: str
    meeting: str | None
    thumbnail: bool
    created_at: Time


class MediaPage(Answer, frozen=True, kw_only=True):
    files: list[MediaFile]
    next: str | None
