"""Requests and responses of accounts: registration, sign-in, profile."""

from typing import Annotated, Literal

import msgspec

from control.api.types import Answer, Body, Email, GivenPassword, Password, Secret, Text, Time, Username
from control.meetings.settings import MeetingSettings


class Register(Body, frozen=True, kw_only=True):
    username: Username
    password: Password
    email: Email | None = None
    display_name: Text | None = None
    invitation: Secret | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Setup(Body, frozen=True, kw_only=True):
    """The first administrator to create. `token` is from the link printed at first start."""

    token: Secret
    username: Username
    password: Password
    email: Email | None = None
    display_name: Text | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Login(Body, frozen=True, kw_only=True):
    """`username` may also be the e-mail address. `code` is needed if the account has a second factor."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    password: GivenPassword
    code: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Refresh(Body, frozen=True, kw_only=True):
    """The refresh token, in token mode; otherwise it is in a cookie."""

    refresh_token: Secret | None = None


class Unconfirmed(Answer, frozen=True, kw_only=True):
    """The 202 response to `register`: the account works once the mailed link is opened."""

    email: str


class User(Answer, frozen=True, kw_only=True):
    id: str
    username: str
    display_name: str
    role: Literal["user", "admin"]
    email: str | None
    email_verified: bool
    email_pending: str | None = None
    """The new address, until the link mailed to it is opened; only in the profile."""
    created_at: Time
    avatar: str | None = None
    """The name of the account's picture, null without one; a new picture has a new name."""


class SignedIn(Answer, frozen=True, kw_only=True):
    """Tokens are null in cookie mode. `csrf_token` goes into X-CSRF-Token of unsafe requests.

    `second_factor_setup`: this server requires a second factor, and nothing else works until it is set up.
    """

    user: User
    csrf_token: str
    expires_in: int
    access_token: str | None = None
    refresh_token: str | None = None
    second_factor_setup: bool = False


class BrowserSession(Answer, frozen=True, kw_only=True):
    """Both fields are null without a session; `user` alone is if its access token must be renewed first."""

    user: User | None
    csrf_token: str | None


class CsrfToken(Answer, frozen=True, kw_only=True):
    csrf_token: str


class UpdateProfile(Body, frozen=True, kw_only=True):
    display_name: Text | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType | None = msgspec.UNSET


class ChangePassword(Body, frozen=True, kw_only=True):
    """`current_password` is optional, since a recent proof is required; if given, it must be right."""

    current_password: GivenPassword | None = None
    new_password: Password


class ServerInfo(Answer, frozen=True, kw_only=True):
    """Properties of this server that a client needs before sign-in."""

    version: str
    registration: Literal["open", "invite", "domain", "closed"]
    guests: bool = True
    """False if people without an account cannot join meetings."""
    recording: bool = True
    """False if nobody can start a recording."""
    meeting_defaults: MeetingSettings = MeetingSettings()
    """Settings of new meetings unless their host chooses others."""
    setup_needed: bool
    https_port: int | None = None
    """Address of the same page over TLS; null if there is none."""
    identity_providers: tuple[str, ...] = ()
    """Sign-in with a provider begins at `/api/v1/auth/oidc/{name}/start`."""
    mail: bool = False
    """True if the server sends mail."""
