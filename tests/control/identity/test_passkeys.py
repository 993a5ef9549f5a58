"""Passkeys, with a software authenticator, and a second factor that the server requires."""

import time
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from control.config import ControlConfig
from control.identity import totp
from tests.control.authenticator import Authenticator
from tests.control.harness import PASSWORD, Client, People, serving

KEYS = "/api/v1/users/passkeys"


async def made(client: Client, authenticator: Authenticator, name: str = "phone") -> dict[str, Any]:
    begun = await client.ok("POST", f"{KEYS}/begin")
    body = {"name": name, "credential": authenticator.create(begun["options"])}
    added: dict[str, Any] = await client.ok("POST", KEYS, body)
    return added


async def options(client: Client) -> dict[str, Any]:
    begun: dict[str, Any] = (await client.ok("POST", "/api/v1/auth/passkey/begin"))["options"]
    return begun


def finish(authenticator: Authenticator, begun: dict[str, Any]) -> dict[str, Any]:
    return {"credential": authenticator.get(begun), "mode": "token"}


async def test_made_listed_used_and_removed(people: People) -> None:
    ada, nobody = await people.user("ada"), people.nobody()
    phone = Authenticator(ada.server.url)
    key = await made(ada, phone)
    assert [one["name"] for one in (await ada.ok("GET", KEYS))["passkeys"]] == ["phone"]
    begun = await ada.ok("POST", f"{KEYS}/begin")
    assert begun["options"]["excludeCredentials"][0]["id"] == phone.create(begun["options"])["id"]
    again = {"name": "again", "credential": phone.create(begun["options"])}
    assert await ada.refused("POST", KEYS, again) == (409, "passkey_exists")

    signed_in = await nobody.ok("POST", "/api/v1/auth/passkey/finish", finish(phone, await options(nobody)))
    assert signed_in["user"]["username"] == "ada"
    profile = await people.bearer(signed_in["access_token"]).ok("GET", "/api/v1/users/profile")
    assert profile["id"] == ada.user["id"]

    assert await (await people.user("eve")).refused("DELETE", f"{KEYS}/{key['id']}") == (
        404,
        "not_found",
    )
    await ada.ok("DELETE", f"{KEYS}/{key['id']}")
    late = finish(phone, await options(nobody))
    assert await nobody.refused("POST", "/api/v1/auth/passkey/finish", late) == (403, "passkey")


async def test_what_does_not_sign_in(people: People) -> None:
    ada, nobody = await people.user("ada"), people.nobody()
    phone = Authenticator(ada.server.url)
    await made(ada, phone)
    path = "/api/v1/auth/passkey/finish"

    used = finish(phone, await options(nobody))
    await nobody.ok("POST", path, used)
    assert await nobody.refused("POST", path, used) == (403, "passkey")  # a challenge is answered once

    for wrong in (
        replace(phone, origin="https://evil.example"),
        replace(phone, flags=0x01),  # nobody verified the user
        replace(phone, key=Authenticator("").key),
        replace(phone, credential_id=b"another credential"),
        replace(phone, count=-1),  # a copy that has counted less
    ):
        assert await nobody.refused("POST", path, finish(wrong, await options(nobody))) == (403, "passkey")
    other_party = {**await options(nobody), "rpId": "evil.example"}
    assert await nobody.refused("POST", path, finish(phone, other_party)) == (403, "passkey")
    invented = {**await options(nobody), "challenge": "AAAA"}
    assert await nobody.refused("POST", path, finish(phone, invented)) == (403, "passkey")
    # A challenge for making a passkey does not sign in, nor one for signing in make a passkey.
    registering = (await ada.ok("POST", f"{KEYS}/begin"))["options"]
    crossed = {"challenge": registering["challenge"], "rpId": registering["rp"]["id"]}
    assert await nobody.refused("POST", path, finish(phone, crossed)) == (403, "passkey")
    eve = await people.user("eve")
    for challenge in (registering["challenge"], (await options(nobody))["challenge"]):
        fresh = Authenticator(ada.server.url).create({**registering, "challenge": challenge})
        if challenge == registering["challenge"]:
            assert await eve.refused("POST", KEYS, {"name": "x", "credential": fresh}) == (403, "passkey")
        else:
            assert await ada.refused("POST", KEYS, {"name": "x", "credential": fresh}) == (403, "passkey")


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": 1}, {"id": "x", "response": {}}, {"id": "x", "response": {"clientDataJSON": "e30"}}, {"response": "é"}],
)
async def test_nonsense_is_refused(people: People, credential: dict[str, Any]) -> None:
    ada = await people.user("ada")
    assert await ada.refused("POST", KEYS, {"name": "x", "credential": credential}) == (403, "passkey")
    body = {"credential": credential}
    assert await people.nobody().refused("POST", "/api/v1/auth/passkey/finish", body) == (403, "passkey")


async def test_where_a_second_factor_is_demanded(config: ControlConfig) -> None:
    async with serving(replace(config, second_factor="required")) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        ada, eve = await people.user("ada"), await people.user("eve")
        setup = (403, "second_factor_setup")
        for client in (ada, eve):
            assert await client.refused("GET", "/api/v1/meetings") == setup
            assert await client.refused("POST", "/api/v1/users/api-keys", {"name": "k", "scopes": []}) == setup
            await client.ok("GET", "/api/v1/users/profile")
        await made(ada, Authenticator(server.url))
        await ada.ok("GET", "/api/v1/meetings")
        login = {"username": "ada", "password": PASSWORD, "mode": "token"}
        refused = await people.nobody().refused("POST", "/api/v1/auth/login", login)
        assert refused == (401, "passkey_required")

        secret = (await eve.ok("POST", "/api/v1/users/totp/begin"))["secret"]
        codes = await eve.ok("POST", "/api/v1/users/totp/confirm", {"code": totp.code(secret, int(time.time()) // 30)})
        await eve.ok("GET", "/api/v1/meetings")
        login = {"username": "eve", "password": PASSWORD, "mode": "token"}
        refused = await people.nobody().refused("POST", "/api/v1/auth/login", login)
        assert refused == (401, "second_factor_required")
        signed_in = await people.nobody().ok(
            "POST", "/api/v1/auth/login", {**login, "code": codes["recovery_codes"][0]}
        )
        assert signed_in["second_factor_setup"] is False
        await people.bearer(signed_in["access_token"]).ok("GET", "/api/v1/meetings")
        refreshed = await people.nobody().ok(
            "POST", "/api/v1/auth/refresh", {"refresh_token": signed_in["refresh_token"]}
        )
        assert refreshed["second_factor_setup"] is False
        body = {"current_password": PASSWORD, "new_password": "another password"}
        changed = await people.bearer(refreshed["access_token"]).ok("POST", "/api/v1/users/change-password", body)
        await people.bearer(changed["access_token"]).ok("GET", "/api/v1/meetings")
