"""Tokens issued by control: access, refresh, CSRF, participant and rejoin tokens, and join tokens for the sfu.

Algorithms and audiences are fixed here, never taken from the token (CVE-2021-39215).
"""

import base64
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import jwt
import msgspec

from control.identity.keys import Keys
from control.identity.oidc import Attempt
from foundation import tracing
from sfu.api.join_token import AUDIENCE, LIFETIME_SECONDS, Grants, JoinClaims

ACCESS_SECONDS = 300
REFRESH_SECONDS = 30 * 86400
PARTICIPANT_SECONDS = 24 * 3600
ATTEMPT_SECONDS = 600
DEVICE_SECONDS = 400 * 86400
VISIT_SECONDS = 12 * 3600
_CODE_SECONDS = 15 * 60
_ACCESS = "parley-control"
_PARTICIPANT = "parley-participant"
_ADMISSION = "parley-admission"
_ATTEMPT = "parley-oidc"
_DEVICE = "parley-device"
_VISIT = "parley-visit"


@dataclass(frozen=True, slots=True)
class Access:
    """Content of an access token. Whether it is still valid depends on the session row."""

    user: str
    session: str
    epoch: int


@dataclass(frozen=True, slots=True)
class GuestPass:
    """Content of a participant token, and of an admission token."""

    participant: str
    meeting: str


@dataclass(frozen=True, slots=True)
class RefreshToken:
    session: str
    generation: int


@dataclass(frozen=True, slots=True)
class Device:
    """A browser and the accounts that last signed in from it."""

    id: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """Proofs of a browser for a shared link: that it gave the passcode, and an e-mail address."""

    passcode: bool = False
    address: str | None = None


class Tokens:
    """Issuer and reader of tokens. Reading returns None for an invalid or expired token."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._access_keys = keys.derive("access token")
        self._participant_keys = keys.derive("participant token")
        self._admission_keys = keys.derive("admission token")
        self._refresh_keys = keys.derive("refresh token")
        self._attempt_keys = keys.derive("oidc attempt")
        self._device_keys = keys.derive("device")
        self._visit_keys = keys.derive("visit of a shared recording")
        self._code_keys = keys.derive("code for an address")
        self._csrf_keys = keys.derive("csrf token")
        self._link_keys = keys.derive("file link")
        self._mark_key = keys.derive_stable("recognition")

    def access(self, user: str, session: str, epoch: int) -> str:
        claims = {"sub": user, "sid": session, "epoch": epoch}
        return self._sign(claims, self._access_keys, _ACCESS, ACCESS_SECONDS)

    def read_access(self, token: str) -> Access | None:
        claims = self._read(token, self._access_keys, _ACCESS)
        match claims:
            case {"sub": str(user), "sid": str(session), "epoch": int(epoch)}:
                return Access(user, session, epoch)
        return None

    def participant(self, participant: str, meeting: str) -> str:
        claims = {"sub": participant, "meeting": meeting}
        return self._sign(claims, self._participant_keys, _PARTICIPANT, PARTICIPANT_SECONDS)

    def read_participant(self, token: str) -> GuestPass | None:
        return self._guest_pass(self._read(token, self._participant_keys, _PARTICIPANT))

    def admission(self, participant: str, meeting: str, seconds: int) -> str:
        """Return the token with which a participant may join for some time."""
        claims = {"sub": participant, "meeting": meeting}
        return self._sign(claims, self._admission_keys, _ADMISSION, seconds)

    def read_admission(self, token: str) -> GuestPass | None:
        return self._guest_pass(self._read(token, self._admission_keys, _ADMISSION))

    def attempt(self, attempt: Attempt) -> str:
        """Return the token that the browser keeps while it signs in at an identity provider."""
        return self._sign({"sub": attempt.provider, **asdict(attempt)}, self._attempt_keys, _ATTEMPT, ATTEMPT_SECONDS)

    def read_attempt(self, token: str) -> Attempt | None:
        claims = self._read(token, self._attempt_keys, _ATTEMPT)
        return None if claims is None else Attempt(**{one.name: str(claims[one.name]) for one in fields(Attempt)})

    def device(self, device: Device) -> str:
        claims = {"sub": device.id, "users": device.users}
        return self._sign(claims, self._device_keys, _DEVICE, DEVICE_SECONDS)

    def read_device(self, token: str) -> Device | None:
        claims = self._read(token, self._device_keys, _DEVICE)
        match claims:
            case {"sub": str(device), "users": list(users)}:
                return Device(device, tuple(str(user) for user in users))
        return None

    def visit(self, link: str, visit: Visit) -> str:
        """Return the token of what a browser has proved for a shared link."""
        return self._sign({"sub": link, **asdict(visit)}, self._visit_keys, _VISIT, VISIT_SECONDS)

    def read_visit(self, link: str, given: str) -> Visit:
        """Return what a token proves for this link, which is nothing if it is invalid or another link's."""
        match self._read(given, self._visit_keys, _VISIT):
            case {"sub": str(subject), "passcode": bool(passcode), "address": str() | None as address}:
                return Visit(passcode, address) if subject == link else Visit()
        return Visit()

    def address_code(self, link: str, address: str) -> str:
        """Return the code that proves an address for a shared link, if it is mailed there."""
        return _code(self._code_keys[0], link, address, int(time.time()) // _CODE_SECONDS)

    def address_code_matches(self, link: str, address: str, given: str) -> bool:
        """Return whether a code is the address's of now or of the quarter of an hour before."""
        now = int(time.time()) // _CODE_SECONDS
        codes = (_code(key, link, address, period) for key in self._code_keys for period in (now, now - 1))
        return _is_one_of("".join(given.split()), codes)

    def refresh(self, session: str, generation: int) -> str:
        body = f"{session}.{generation}"
        return f"{body}.{_refresh_mac(self._refresh_keys[0], body)}"

    def read_refresh(self, token: str) -> RefreshToken | None:
        body, _, mac = token.rpartition(".")
        if not _is_one_of(mac, (_refresh_mac(key, body) for key in self._refresh_keys)):
            return None
        session, _, generation = body.rpartition(".")
        return RefreshToken(session, int(generation))

    def csrf(self, session: str) -> str:
        return _mac(self._csrf_keys[0], session)

    def csrf_matches(self, session: str, given: str) -> bool:
        return _is_one_of(given, (_mac(key, session) for key in self._csrf_keys))

    def link(self, link: str, subject: str, expires: int) -> str:
        """Return the signature of the link `link_id` to `subject`; the link is valid until `expires` (Unix seconds)."""
        return _mac(self._link_keys[0], f"{link}\n{expires}\n{subject}")

    def link_matches(self, link: str, subject: str, expires: int, given: str) -> bool:
        return _is_one_of(given, (_mac(key, f"{link}\n{expires}\n{subject}") for key in self._link_keys))

    def mark(self, meeting: str, subject: str) -> bytes:
        """Return the hash by which a meeting recognises a person. It differs in each meeting.

        It is stored, so it survives a rotation of the session secret.
        """
        return hmac.digest(self._mark_key, f"{meeting}\n{subject}".encode(), "sha256")

    def join(
        self,
        room: str,
        participant: str,
        name: str,
        user: str | None,
        grants: Grants,
        *,
        epoch: int = 0,
        returning: bool = False,
        ice: tuple[str, ...] = (),
        node: str = "",
        identity: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        kind: str = "",
    ) -> str:
        """Return a join token for the sfu, valid for one admission within 60 s."""
        now = int(time.time())
        claims = JoinClaims(
            aud=AUDIENCE,
            jti=secrets.token_urlsafe(16),
            iat=now,
            exp=now + LIFETIME_SECONDS,
            room=room,
            participant=participant,
            name=name,
            user=user,
            grants=grants,
            epoch=epoch,
            returning=returning,
            ice=ice,
            node=node,
            traceparent=tracing.current(),
            identity=identity,
            metadata=metadata,
            attributes=dict(attributes or {}),
            kind=kind,
        )
        payload: dict[str, Any] = msgspec.to_builtins(claims)
        return jwt.encode(payload, self._keys.signing, algorithm="EdDSA", headers={"kid": self._keys.kid})

    @staticmethod
    def _guest_pass(claims: dict[str, Any] | None) -> GuestPass | None:
        match claims:
            case {"sub": str(participant), "meeting": str(meeting)}:
                return GuestPass(participant, meeting)
        return None

    def _sign(self, claims: dict[str, Any], keys: tuple[bytes, ...], audience: str, seconds: int) -> str:
        now = int(time.time())
        return jwt.encode({**claims, "aud": audience, "iat": now, "exp": now + seconds}, keys[0], algorithm="HS256")

    def _read(self, token: str, keys: tuple[bytes, ...], audience: str) -> dict[str, Any] | None:
        for key in keys:
            with contextlib.suppress(jwt.InvalidTokenError):
                return jwt.decode(
                    token, key, algorithms=["HS256"], audience=audience, options={"require": ["exp", "aud", "sub"]}
                )
        return None


def _refresh_mac(key: bytes, body: str) -> str:
    mac = hmac.digest(key, body.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _mac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _code(key: bytes, link: str, address: str, period: int) -> str:
    """Return eight digits. They are few, so whoever checks them limits the guesses."""
    mac = hmac.digest(key, f"{link}\n{period}\n{address.casefold()}".encode(), "sha256")
    return f"{int.from_bytes(mac[:8]) % 10**8:08}"


def _is_one_of(given: str, expected: Iterable[str]) -> bool:
    """Return whether a value is among the expected ones; each comparison takes constant time."""
    return any(hmac.compare_digest(given.encode(), one.encode()) for one in expected)


def new_rejoin_secret(participant: str) -> str:
    """Return a secret that contains its participant's id. Only its `digest` is stored."""
    return f"{participant}.{secrets.token_urlsafe(24)}"


def rejoin_participant(secret: str) -> str:
    """Return the id of the participant in a rejoin secret."""
    return secret.partition(".")[0]


def digest(secret: str) -> bytes:
    """Return the hash to store of a random secret, whose entropy suffices for a plain hash."""
    return hashlib.sha256(secret.encode()).digest()


def way_of_join_token(token: str) -> tuple[str, str]:
    """Return the unverified room and node of a join token, only to find the node that verifies it."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, UnicodeError):
        return "", ""
    room, node = claims.get("room"), claims.get("node", "")
    return (room, node) if isinstance(room, str) and isinstance(node, str) else ("", "")
