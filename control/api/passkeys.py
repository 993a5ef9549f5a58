"""Passkeys: created by a signed-in account, and used to sign in without name or password."""

from typing import Any, Literal

from quart import Response

from control.api.paging import NamedListQuery, cut
from control.api.sign_in_types import SignedIn
from control.api.signing_in import sign_in
from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.identity import passkeys
from control.identity.passkeys import RelyingParty
from control.problem import Problem, not_found
from control.store import audit, sessions, users
from control.store import passkeys as store
from control.store.users import UserRow

endpoints = Endpoints("accounts")
_WINDOW = 15 * 60
_MAX = 20


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


class PasskeyQuery(NamedListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["created_at", "-created_at", "name", "-name"] = "created_at"


class Passkeys(Answer, frozen=True, kw_only=True):
    passkeys: list[Passkey]
    next: str | None


@endpoints.route("GET", "/api/v1/users/passkeys", Access.USER, query=PasskeyQuery, answer=Passkeys)
async def list_passkeys(call: Call, query: PasskeyQuery) -> Passkeys:
    """List the account's passkeys."""
    async with call.services.pool.acquire() as connection:
        rows = await store.of_user(connection, call.user.user)
    page, following = cut(Passkey, [Passkey.from_row(row) for row in rows], query)
    return Passkeys(passkeys=page, next=following)


@endpoints.route("POST", "/api/v1/users/passkeys/begin", Access.USER, answer=PasskeyOptions, proof=True)
async def begin_passkey(call: Call) -> PasskeyOptions:
    """Return the options for creating a passkey. The passkey is usable once added."""
    user = call.user
    async with call.services.pool.acquire() as connection:
        known = [row.credential_id for row in await store.of_user(connection, user.user)]
        challenge = await store.new_challenge(connection, user.user)
    options = passkeys.registration_options(
        _party(call),
        challenge,
        product=call.services.config.branding.name,
        user=user.user,
        username=user.username,
        display_name=user.display_name,
        known=known,
    )
    return PasskeyOptions(options=options)


@endpoints.route("POST", "/api/v1/users/passkeys", Access.USER, body=AddPasskey, answer=Passkey, status=201, proof=True)
async def add_passkey(call: Call, body: AddPasskey) -> Passkey:
    """Add a passkey that the browser created."""
    user = call.user.user
    challenge = passkeys.challenge_of(body.credential)
    async with call.services.pool.acquire() as connection:
        if not await store.use_challenge(connection, challenge, user):
            raise passkeys.refused()
        found = passkeys.verify_registration(_party(call), challenge, body.credential)
        async with connection.transaction():
            if len(await store.of_user(connection, user)) >= _MAX:
                raise Problem(409, "too_many_passkeys", "The account has too many passkeys. Remove one first.")
            row = await store.add(connection, user, body.name, found)
            await sessions.strengthen(connection, call.user.session)
            await audit.write(connection, call.actor, "add_passkey", row.id, call.address)
    return Passkey.from_row(row)


@endpoints.route("DELETE", "/api/v1/users/passkeys/<passkey>", Access.USER, answer=Done, proof=True)
async def remove_passkey(call: Call, passkey: str) -> Done:
    """Remove a passkey. It can no longer be used to sign in."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await store.remove(connection, call.user.user, passkey):
            raise not_found("There is no such passkey.")
        await audit.write(connection, call.actor, "remove_passkey", passkey, call.address)
    return Done()


@endpoints.route("POST", "/api/v1/auth/passkey/begin", Access.PUBLIC, answer=PasskeyOptions)
async def begin_passkey_sign_in(call: Call) -> PasskeyOptions:
    """Return the options for signing in with any passkey of this server."""
    await call.services.limits.spend("passkey", call.network, call.services.config.limits.arrivals, _WINDOW)
    async with call.services.pool.acquire() as connection:
        challenge = await store.new_challenge(connection, None)
    return PasskeyOptions(options=passkeys.sign_in_options(_party(call), challenge))


@endpoints.route("POST", "/api/v1/auth/passkey/finish", Access.PUBLIC, body=SignInWithPasskey, answer=SignedIn)
async def sign_in_with_passkey(call: Call, body: SignInWithPasskey) -> Response:
    """Sign in with a passkey. No second factor is needed."""
    async with call.services.pool.acquire() as connection:
        user = await verified(call, connection, body.credential)
        async with connection.transaction():
            return await sign_in(call, connection, user, body.mode, strong=True)


async def verified(call: Call, connection: Connection, credential: dict[str, Any]) -> UserRow:
    """Return the account whose passkey answered a challenge of `/api/v1/auth/passkey/begin`; raises Problem 403."""
    challenge = passkeys.challenge_of(credential)
    if not await store.use_challenge(connection, challenge, None):
        raise passkeys.refused()
    async with connection.transaction():
        row = await store.by_credential(connection, passkeys.credential_id_of(credential))
        if row is None:
            raise passkeys.refused()
        count = passkeys.verify_sign_in(_party(call), challenge, credential, row.public_key, row.sign_count)
        await store.note_use(connection, row.id, count)
        user = await users.by_id(connection, row.user_id)
    if user is None:
        raise passkeys.refused()
    return user


def _party(call: Call) -> RelyingParty:
    config = call.services.config
    return passkeys.relying_party(call.request, config.public_origins, config.cookie_security == "always")
