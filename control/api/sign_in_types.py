"""Bodies and answers about accounts: registering, signing in, the profile."""

from typing import Annotated, Literal

import msgspec

from control.api.types import Answer, Body, Email, GivenPassword, Password, Secret, Text, Time, Username


class Register(Body, frozen=True, kw_only=True):
    username: Username
    password: Password
    email: Email | None = None
    display_name: Text | None = None
    invitation: Secret | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Setup(Body, frozen=True, kw_only=True):
    """Makes the first administrator; `token` is from the link printed at first start."""

    token: Secret
    username: Username
    password: Password
    email: Email | None = None
    display_name: Text | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Login(Body, frozen=True, kw_only=True):
    """`username` may also be the e-mail address; `code` is the second factor's, where the account has one."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    password: GivenPassword
    code: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    mode: Literal["cookie", "token"] = "cookie"


class Refresh(Body, frozen=True, kw_only=True):
    """In token mode the refresh token is here, otherwise in its cookie."""

    refresh_token: Secret | None = None


class Unconfirmed(Answer, frozen=True, kw_only=True):
    """Answer 202 to `register`: the account works once the link that was mailed to it is opened."""

    email: str


class User(Answer, frozen=True, kw_only=True):
    id: str
    username: str
    display_name: str
    role: Literal["user", "admin"]
    email: str | None
    email_verified: bool
    email_pending: str | None = None
    """The address that the account has once the link mailed to it is opened; told by the profile alone."""
    created_at: Time


class SignedIn(Answer, frozen=True, kw_only=True):
    """Tokens are null in cookie mode. `csrf_token` goes into X-CSRF-Token of unsafe requests.

    `second_factor_setup`: this server demands a second factor, and nothing else can be done before there is one.
    """

    user: User
    csrf_token: str
    expires_in: int
    access_token: str | None = None
    refresh_token: str | None = None
    second_factor_setup: bool = False


class CsrfToken(Answer, frozen=True, kw_only=True):
    csrf_token: str


class UpdateProfile(Body, frozen=True, kw_only=True):
    display_name: Text | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType | None = msgspec.UNSET


class ChangePassword(Body, frozen=True, kw_only=True):
    """`current_password` need not be given, since the session must be proved; one that is given must be right."""

    current_password: GivenPassword | None = None
    new_password: Password


class ServerInfo(Answer, frozen=True, kw_only=True):
    """What a page must know before anyone signs in."""

    version: str
    registration: Literal["open", "invite", "domain", "closed"]
    setup_needed: bool
    https_port: int | None = None
    """Where the same page is served with TLS; null when it is not."""
    identity_providers: tuple[str, ...] = ()
    """Each is begun with at `/api/v1/auth/oidc/{name}/start`."""
