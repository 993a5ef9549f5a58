"""Requests and responses of stream keys."""

from control.api.types import Answer, Body, Text, Time
from sfu.api.stream_key import StreamRole


class CreateStreamKey(Body, frozen=True, kw_only=True):
    """`name` is shown as the participant's name. A key for `publish` sends by WHIP, one for `watch` plays by WHEP."""

    name: Text
    role: StreamRole
    expires_at: Time | None = None


class StreamKey(Answer, frozen=True, kw_only=True):
    """`url` is the endpoint that takes the secret as bearer token. `secret` is shown once, when the key is created."""

    id: str
    name: str
    role: StreamRole
    url: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    secret: str | None = None


class StreamKeys(Answer, frozen=True, kw_only=True):
    keys: list[StreamKey]
