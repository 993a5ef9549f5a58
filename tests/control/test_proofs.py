"""Proofs: requests that could take over an account need one of the last five minutes, not just a session."""

import time
from typing import Any

import asyncpg
import pytest

from control.identity import totp
from tests.control.authenticator import Authenticator
from tests.control.harness import PASSWORD, Client, People

PROOF = "/api/v1/users/proof"
NEEDED = (403, "proof_needed")
GUARDED: list[tuple[str, str, Any]] = [
    ("PUT", "/api/v1/users/profile", {"email": "eve@example.org"}),
    ("POST", "/api/v1/users/change-password", {"new_password": "another password"}),
    ("POST", "/api/v1/users/totp/begin", None),
    ("POST", "/api/v1/users/totp/confirm", {"code": "000000"}),
    ("DELETE", "/api/v1/users/totp", None),
    ("POST", "/api/v1/users/passkeys/begin", None),
    ("POST", "/api/v1/users/passkeys", {"name": "x", "credential": {}}),
    ("DELETE", "/api/v1/users/passkeys/passkey_1", None),
    ("POST", "/api/v1/users/api-keys", {"name": "x", "scopes": ["meetings:read"]}),
    ("DELETE", "/api/v1/users/api-keys/key_1", None),
    ("DELETE", "/api/v1/users/account", None),
]


async def age_sessions(dsn: str, seconds: int = 301) -> None:
    """Let the last proof of every session be so old."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE user_sessions SET proved_at = now() - make_interval(secs => $1)", seconds)
    await connection.close()


async def refusal_of_an_old_session(client: Client, dsn: str, method: str, path: str, body: Any) -> tuple[int, str]:
    """Ask with a session whose proof is old; a write in between makes this process forget what it remembered."""
    await age_sessions(dsn)
    await client.call("POST", "/api/v1/auth/forgot-password", {"email": "nobody@example.org"})
    return await client.refused(method, path, body)


@pytest.mark.parametrize(("method", "path", "body"), GUARDED)
async def test_a_session_alone_does_not_take_an_account_over(
    people: People, dsn: str, method: str, path: str, body: Any
) -> None:
    ada = await people.user("ada")
    assert await refusal_of_an_old_session(ada, dsn, method, path, body) == NEEDED
    told = await ada.ok("GET", PROOF)
    assert told == {"needed": True, "password": True, "code": False, "passkey": False, "identity_providers": []}

    assert await ada.refused("POST", PROOF, {"password": "wrong"}) == (403, "forbidden")
    assert (await ada.call(method, path, body))[1]["code"] == "proof_needed"
    await ada.ok("POST", PROOF, {"password": PASSWORD})
    _, answer = await ada.call(method, path, body)
    assert answer.get("code") != "proof_needed"


async def test_signing_in_is_a_proof_and_refreshing_is_none(people: People, dsn: str) -> None:
    body = {"username": "ada", "password": PASSWORD, "mode": "token"}
    first = await people.nobody().ok("POST", "/api/v1/auth/register", body)
    ada = people.bearer(first["access_token"])
    assert (await ada.ok("GET", PROOF))["needed"] is False
    await age_sessions(dsn)
    again = await people.nobody().ok("POST", "/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (await people.bearer(again["access_token"]).ok("GET", PROOF))["needed"] is True


async def test_the_code_is_a_part_of_the_proof_where_the_account_has_one(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    secret = (await ada.ok("POST", "/api/v1/users/totp/begin"))["secret"]
    step = int(time.time()) // 30
    given = await ada.ok("POST", "/api/v1/users/totp/confirm", {"code": totp.code(secret, step)})
    off = ("DELETE", "/api/v1/users/totp", None)
    assert await refusal_of_an_old_session(ada, dsn, *off) == NEEDED
    assert (await ada.ok("GET", PROOF))["code"] is True
    assert await ada.refused("POST", PROOF, {"password": PASSWORD}) == (403, "second_factor_required")
    assert await ada.refused("POST", PROOF, {"password": PASSWORD, "code": "000000"}) == (403, "wrong_code")
    assert await ada.refused(*off) == NEEDED
    await ada.ok("POST", PROOF, {"password": PASSWORD, "code": given["recovery_codes"][0]})
    await ada.ok(*off)


async def test_a_passkey_is_a_proof_for_its_own_account(people: People, dsn: str) -> None:
    ada, eve = await people.user("ada"), await people.user("eve")
    phone = Authenticator(ada.server.url)
    begun = await ada.ok("POST", "/api/v1/users/passkeys/begin")
    await ada.ok("POST", "/api/v1/users/passkeys", {"name": "phone", "credential": phone.create(begun["options"])})
    await age_sessions(dsn)
    for client, accepted in ((eve, False), (ada, True)):
        options = (await client.ok("POST", "/api/v1/auth/passkey/begin"))["options"]
        status, _ = await client.call("POST", PROOF, {"credential": phone.get(options)})
        assert (status == 200) is accepted
        assert (await client.ok("GET", PROOF))["needed"] is not accepted


async def test_guessing_a_proof_is_throttled(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    await age_sessions(dsn)
    for _ in range(10):
        assert await ada.refused("POST", PROOF, {"password": "guess"}) == (403, "forbidden")
    assert await ada.refused("POST", PROOF, {"password": PASSWORD}) == (429, "too_many_requests")


async def test_a_name_changes_without_proof_and_so_does_nothing_at_all(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    await age_sessions(dsn)
    assert (await ada.ok("PUT", "/api/v1/users/profile", {"display_name": "Ada L"}))["display_name"] == "Ada L"
    await ada.ok("PUT", "/api/v1/users/profile", {"email": None})


async def test_api_keys_end_with_the_password(people: People) -> None:
    ada = await people.user("ada")
    made = await ada.ok("POST", "/api/v1/users/api-keys", {"name": "x", "scopes": ["meetings:read"]})
    key = people.bearer(made["secret"])
    await key.ok("GET", "/api/v1/meetings")
    changed = await ada.ok("POST", "/api/v1/users/change-password", {"new_password": "another password"})
    assert await key.refused("GET", "/api/v1/meetings") == (401, "invalid_token")
    assert (await people.bearer(changed["access_token"]).ok("GET", "/api/v1/users/api-keys"))["keys"] == []


async def test_a_session_that_is_used_ends_after_ninety_days(people: People, dsn: str) -> None:
    body = {"username": "ada", "password": PASSWORD, "mode": "token"}
    first = await people.nobody().ok("POST", "/api/v1/auth/register", body)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE user_sessions SET created_at = now() - interval '89 days'")
    refreshed = await people.nobody().ok("POST", "/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    left = await connection.fetchval("SELECT extract(epoch FROM expires_at - now()) FROM user_sessions")
    assert 0 < left <= 86_400
    await connection.execute("UPDATE user_sessions SET expires_at = created_at + interval '89 days'")
    await connection.close()
    again = {"refresh_token": refreshed["refresh_token"]}
    assert await people.nobody().refused("POST", "/api/v1/auth/refresh", again) == (401, "not_signed_in")
