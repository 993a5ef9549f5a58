"""Base types of the REST API's requests and responses. The OpenAPI document is generated from them.

Unknown request fields are refused. Times are RFC 3339 in UTC unless a name ends in `_ms`.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

import msgspec

from control.hidden_characters import HIDDEN

# In Python, `$` also matches before a final line feed; in JSON Schema, it does not. Hence the lookahead.
_SHOWN = rf"^[^{HIDDEN}]*$(?!\n)"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_SHOWN)]
LongText = Annotated[str, msgspec.Meta(max_length=4000)]
# No @: a name must not look like an address. Older accounts keep their names.
Username = Annotated[str, msgspec.Meta(min_length=2, max_length=64, pattern=r"^[\w.+-]+$(?!\n)")]
Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$(?!\n)")]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=1024)]
GivenPassword = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Passcode = Annotated[str, msgspec.Meta(min_length=6, max_length=64)]
GivenPasscode = Annotated[str, msgspec.Meta(max_length=64)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Metadata = Annotated[str, msgspec.Meta(max_length=4000)]
TimeZone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Recurrence = Annotated[str, msgspec.Meta(min_length=5, max_length=200)]
GivenRole = Literal["co-host", "presenter", "participant", "viewer"]
"""The roles that people can be given; a meeting has one host."""
MeetingStatus = Literal["scheduled", "active", "idle", "ended"]
RecordingStatus = Literal["recording", "sealing", "ready", "partial", "empty"]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of requests."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of responses."""

    @classmethod
    def from_row(cls, row: object, **others: Any) -> Self:
        """Return a response with the values in `others`, and the row's values for all other fields."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__ if name not in others}, **others)


class Done(Answer, frozen=True, kw_only=True):
    """Response without further content."""

    ok: bool = True


class Health(Answer, frozen=True, kw_only=True):
    """`down` names the parts that do not work, with the reason."""

    status: Literal["ok", "degraded", "down"]
    down: dict[str, str] = {}
