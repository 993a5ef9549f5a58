"""Requests and responses of passkeys; options and credentials are the JSON forms of Web Authentication (Level 3)."""

from typing import Any, Literal

from control.api.types import Answer, Body, Text, Time


class PasskeyOptions(Answer, frozen=True, kw_only=True):
    """`options` go into `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`."""

    options: dict[str, Any]


class AddPasskey(Body, frozen=True, kw_only=True):
    """`credential` is the result of `navigator.credentials.create`, by its `toJSON`."""

    name: Text
    credential: dict[str, Any]


class SignInWithPasskey(Body, frozen=True, kw_only=True):
    """`credential` is the result of `navigator.credentials.get`, by its `toJSON`."""

    credential: dict[str, Any]
    mode: Literal["cookie", "token"] = "cookie"


class Passkey(Answer, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: Time
    last_used_at: Time | None


class Passkeys(Answer, frozen=True, kw_only=True):
    passkeys: list[Passkey]
