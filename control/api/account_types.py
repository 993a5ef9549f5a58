"""Requests and responses of account security: sessions, API keys, mail tokens, deletion."""

from typing import Annotated, Any, Literal

import msgspec

from control.api.paging import PageQuery
from control.api.types import Answer, Body, Email, GivenPassword, Password, Secret, Text, Time

Scope = Literal[
    "meetings:read",
    "meetings:write",
    "admissions:write",
    "recordings:read",
    "recordings:write",
    "media:read",
    "media:write",
    "webhooks:read",
    "webhooks:write",
    "admin:read",
    "admin:write",
    "provisioning:write",
]


class Session(Answer, frozen=True, kw_only=True):
    """`current` marks the session of this request."""

    id: str
    created_at: Time
    last_used_at: Time
    user_agent: str
    address: str
    current: bool


class Sessions(Answer, frozen=True, kw_only=True):
    sessions: list[Session]
    next: str | None


class SessionQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches the browser and the address. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    sort: Literal["created_at", "-created_at", "last_used_at", "-last_used_at"] = "-last_used_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class CreateApiKey(Body, frozen=True, kw_only=True):
    name: Text
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1, max_length=20)]
    expires_at: Time | None = None


class ApiKey(Answer, frozen=True, kw_only=True):
    """`secret` is shown once, when the key is created."""

    id: str
    name: str
    scopes: list[str]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    secret: str | None = None


class ApiKeys(Answer, frozen=True, kw_only=True):
    keys: list[ApiKey]
    next: str | None


class ForgotPassword(Body, frozen=True, kw_only=True):
    email: Email


class ResetPassword(Body, frozen=True, kw_only=True):
    """`token` is from the mail."""

    token: Secret
    password: Password


class VerifyEmail(Body, frozen=True, kw_only=True):
    """`token` is from the mail."""

    token: Secret


class UndoEmail(Body, frozen=True, kw_only=True):
    """`token` is from the mail to the account's previous address."""

    token: Secret
    password: Password


class Prove(Body, frozen=True, kw_only=True):
    """The password, with `code` if the account has an authenticator app; otherwise the `credential` of a passkey."""

    password: GivenPassword | None = None
    code: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    credential: dict[str, Any] | None = None


class Proof(Answer, frozen=True, kw_only=True):
    """Methods that the account can use to prove its identity: a password (with a `code`), a passkey, a provider."""

    needed: bool
    password: bool
    code: bool
    passkey: bool
    identity_providers: tuple[str, ...]


class ConfirmSecondFactor(Body, frozen=True, kw_only=True):
    """`code` is the current code of the authenticator app."""

    code: Annotated[str, msgspec.Meta(min_length=6, max_length=20)]


class TotpSecret(Answer, frozen=True, kw_only=True):
    """`uri` is for a QR code."""

    secret: str
    uri: str


class RecoveryCodes(Answer, frozen=True, kw_only=True):
    recovery_codes: list[str]
