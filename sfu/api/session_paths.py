"""Paths of WHIP and WHEP: one list for the node, which serves them, and for control, which passes requests on.

A path is parsed undecoded, as in the request. Its names consist of letters, digits, `-` and `_`, so nothing in
it is ambiguous: `..`, backslashes and percent-encoding are refused.
"""

import re
from enum import Enum, auto
from typing import Literal, NamedTuple, cast

Role = Literal["whip", "whep"]


class Kind(Enum):
    """Resources that a path may lead to."""

    ENDPOINT = auto()
    SESSION = auto()
    LAYER = auto()
    EVENTS = auto()
    EVENT_STREAM = auto()


ALLOWED = {
    Kind.ENDPOINT: ("POST", "OPTIONS"),
    Kind.SESSION: ("PATCH", "DELETE", "OPTIONS"),
    Kind.LAYER: ("GET", "POST", "OPTIONS"),
    Kind.EVENTS: ("POST", "OPTIONS"),
    Kind.EVENT_STREAM: ("GET", "OPTIONS"),
}
"""The methods that each kind of resource accepts."""

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
ACCEPTED: dict[Kind, dict[str, str]] = {
    Kind.ENDPOINT: {"Accept-Post": SDP, "Accept-Patch": FRAGMENT},
    Kind.SESSION: {"Accept-Post": SDP, "Accept-Patch": FRAGMENT},
    Kind.LAYER: {"Accept-Post": "application/json"},
    Kind.EVENTS: {"Accept-Post": "application/json"},
    Kind.EVENT_STREAM: {},
}
"""The header fields that name the bodies accepted by each kind of resource."""


_NAME = "[A-Za-z0-9_-]{1,128}"
_PATH = re.compile(rf"/(whip|whep)(?:/({_NAME})(?:/({_NAME})(?:/(layer|events)(?:/({_NAME}))?)?)?)?")


class SessionPath(NamedTuple):
    """A parsed path. `room`, `session` and `key` (of a stream of events) are "" if it does not name them."""

    role: Role
    kind: Kind
    room: str = ""
    session: str = ""
    key: str = ""

    @property
    def allowed(self) -> tuple[str, ...]:
        """The methods that the resource accepts."""
        return ALLOWED[self.kind]

    @property
    def accepted(self) -> dict[str, str]:
        """The header fields that name the bodies accepted by the resource."""
        return ACCEPTED[self.kind]

    def __str__(self) -> str:
        """Return the path built from its parts."""
        below = {Kind.LAYER: "layer", Kind.EVENTS: "events", Kind.EVENT_STREAM: "events"}.get(self.kind, "")
        return "/" + "/".join(filter(None, (self.role, self.room, self.session, below, self.key)))


def parse(raw: str) -> SessionPath:
    """Return the parts of an undecoded path; raises ValueError for a path outside WHIP and WHEP."""
    found = _PATH.fullmatch(raw)
    if found is None:
        raise ValueError("not a path of WHIP or WHEP")
    role, room, session, below, key = found.groups(default="")
    if below and role != "whep":
        raise ValueError("only players have layers and events")
    if key and below != "events":
        raise ValueError("there is nothing below `layer`")
    if below:
        kind = Kind.LAYER if below == "layer" else Kind.EVENT_STREAM if key else Kind.EVENTS
    else:
        kind = Kind.SESSION if session else Kind.ENDPOINT
    return SessionPath(cast(Role, role), kind, room, session, key)
