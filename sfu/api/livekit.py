"""Admission of clients of LiveKit's protocol: a node shows control their access token and gets a join token for it."""

from http import HTTPStatus
from urllib.parse import parse_qs

import msgspec

from sfu.api.signaling_values import IceServer

MAX_FIELDS = 64
"""The largest number of parameters in a request's query."""


def access_token(query: str, authorization: str) -> str:
    """Return the access token in a request's query or bearer header, "" without one."""
    scheme, _, bearer = authorization.partition(" ")
    try:
        asked = parse_qs(query, max_num_fields=MAX_FIELDS).get("access_token", [""])[-1]
    except ValueError:
        asked = ""
    return asked or (bearer.strip() if scheme.lower() == "bearer" else "")


class LiveKitUse(msgspec.Struct, frozen=True, kw_only=True):
    """A node's request to admit the bearer of an access token. With `reconnect` the participant should be in the room
    already.
    """

    token: str
    reconnect: bool = False


class LiveKitAdmission(msgspec.Struct, frozen=True, kw_only=True):
    """Control's answer: a join token and what to tell the client about the room, or the status and text of a refusal.

    `refreshed` is a newer access token, for reconnecting. `consents` lists those that the application has obtained:
    `recording`, `captions`, `analysis`.
    """

    token: str = ""
    room_name: str = ""
    refreshed: str = ""
    consents: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    status: int = HTTPStatus.OK
    detail: str = ""
