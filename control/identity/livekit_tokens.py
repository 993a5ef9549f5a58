"""Access tokens of LiveKit's SDKs: JWTs (RFC 7519), signed with an API secret by HS256.

Unlike join tokens, they may be used again until they expire, since clients reconnect with them. Refusals have the
statuses and texts that the SDKs recognise.
"""

import time
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec

MAX_BYTES = 8192
MAX_IDENTITY = MAX_ROOM_NAME = 256
LEEWAY_SECONDS = 60
REFRESHED_SECONDS = 600


class TokenRefused(Exception):
    """The access token does not admit its bearer; `status` is the HTTP status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class VideoGrant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The bearer's rights in a room. A right that is None has the default of every participant."""

    room_join: bool = False
    room: str = ""
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    room_record: bool = False
    destination_room: str = ""
    ingress_admin: bool = False
    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_publish_sources: list[str] | None = None
    can_update_own_metadata: bool | None = None
    hidden: bool = False
    recorder: bool = False
    agent: bool = False


class SipGrant(msgspec.Struct, frozen=True, kw_only=True):
    """The bearer's rights to telephones: to manage trunks and rules, and to place and transfer calls."""

    admin: bool = False
    call: bool = False


class RoomAgent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An agent that a token sends to its room."""

    agent_name: str = ""
    metadata: str = ""
    attributes: dict[str, str] = {}


class RoomConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a room that joining with the token creates."""

    agents: list[RoomAgent] = []
    metadata: str = ""


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a token: `iss` is the API key that signed it, `sub` the bearer's identity."""

    iss: str
    sub: str = ""
    name: str = ""
    kind: str = ""
    video: VideoGrant = VideoGrant()
    sip: SipGrant = SipGrant()
    metadata: str = ""
    attributes: dict[str, str] = {}
    room_config: RoomConfiguration | None = msgspec.field(default=None, name="roomConfig")

    @property
    def identity(self) -> str:
        return self.sub


def check_admission(claims: AccessToken) -> None:
    """Raise TokenRefused unless a token's claims admit its bearer to a room."""
    video = claims.video
    if not video.room_join:
        raise TokenRefused(401, "permissions denied")
    if not video.room:
        raise TokenRefused(400, "no room name")
    if not claims.identity:
        raise TokenRefused(400, "identity cannot be empty")
    if len(claims.identity) > MAX_IDENTITY:
        raise TokenRefused(400, f"participant identity length exceeds limits: max length {MAX_IDENTITY}")
    if len(video.room) > MAX_ROOM_NAME:
        raise TokenRefused(400, f"room name length exceeds limits: max length {MAX_ROOM_NAME}")
    if "\x00" in claims.identity + video.room + claims.name:
        raise TokenRefused(400, "names must not contain NUL")


def issuer(token: str) -> str:
    """Return the API key that a token claims to be signed with; raises TokenRefused."""
    if len(token) > MAX_BYTES:
        raise TokenRefused(401, "invalid authorization token")
    try:
        named = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise TokenRefused(401, "invalid authorization token") from error
    if not isinstance(named, str):
        raise TokenRefused(401, "invalid API key")
    return named


def verified(token: str, secret: str) -> AccessToken:
    """Return the claims of a token that was signed with a secret, whatever it grants; raises TokenRefused."""
    try:
        payload: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp"], "verify_aud": False, "verify_iat": False, "verify_sub": False},
        )
        return msgspec.convert(payload, AccessToken)
    except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeError) as error:
        raise TokenRefused(401, "invalid token") from error


def refreshed(token: str) -> dict[str, Any]:
    """Return the claims of a new token for a connected bearer to reconnect with.

    It expires with the old one, but not within ten minutes.
    """
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    claims["exp"] = max(int(claims["exp"]), int(time.time()) + REFRESHED_SECONDS)
    return claims


def signed(claims: Mapping[str, object], secret: str) -> str:
    return jwt.encode(dict(claims), secret, algorithm="HS256")


def signing_keys(text: str) -> dict[str, str]:
    """Return the keys of a setting: `KEY: SECRET` pairs, separated by commas or lines; raises ValueError."""
    pairs: dict[str, str] = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        key, colon, secret = (piece.strip() for piece in part.partition(":"))
        if not (key and colon and len(secret) >= MIN_SECRET):
            raise ValueError(f"expected KEY: SECRET, with secrets of at least {MIN_SECRET} characters")
        pairs[key] = secret
    return pairs


MIN_SECRET = 32
"""Minimum characters of a secret: HMAC-SHA256 is only as strong as its key (RFC 7518, section 3.2)."""
