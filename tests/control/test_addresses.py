"""Account addresses: confirmed before they count, restored by their owner, and in one namespace with user names."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest

from control.config import ControlConfig, SmtpConfig
from tests.control.harness import PASSWORD, Client, People, serving
from tests.control.smtp_server import SmtpServer

PROFILE = "/api/v1/users/profile"
VERIFY = "/api/v1/auth/verify-email"


@contextlib.asynccontextmanager
async def with_mail(config: ControlConfig) -> AsyncIterator[tuple[People, SmtpServer]]:
    async with SmtpServer() as mails, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        smtp = SmtpConfig(host="127.0.0.1", port=mails.port, tls="none", sender="parley@example.org")
        async with serving(replace(config, smtp=smtp)) as server:
            yield People(session, server), mails


async def register(people: People, name: str, email: str | None = None) -> Client:
    body = {"username": name, "email": email, "password": PASSWORD, "mode": "token"}
    made = await people.nobody().ok("POST", "/api/v1/auth/register", body)
    return people.bearer(made["access_token"])


async def token_in(mails: SmtpServer, to: str, page: str) -> str:
    """Return the token of the next mail, which goes to `to` and leads to `page`."""
    mail: Any = await mails.next()
    assert mail["To"] == to
    text = mail.get_payload(decode=True).decode()
    found = re.search(rf"/{page}\?token=(\S+)", text)
    assert found is not None, text
    return found[1]


async def confirmed(people: People, mails: SmtpServer, name: str, email: str) -> Client:
    """An account with a confirmed address."""
    client = await register(people, name, email)
    await client.ok("POST", "/api/v1/users/verify-email")
    await people.nobody().ok("POST", VERIFY, {"token": await token_in(mails, email, "verify-email")})
    return client


async def test_hosts_invite_people_by_mail_once_their_own_address_is_confirmed(config: ControlConfig) -> None:
    async with with_mail(config) as (people, mails):
        ada, eve = await confirmed(people, mails, "ada", "ada@example.org"), await register(people, "eve")
        plan = {"title": "Höhe", "scheduled_start": "2030-03-01T08:00:00Z", "time_zone": "Europe/Berlin"}
        guests = {"emails": ["grace@example.org", "grace@example.org"]}
        for client in (ada, eve):
            meeting = (await client.ok("POST", "/api/v1/meetings", plan))["id"]
            if client is eve:
                refused = await eve.refused("POST", f"/api/v1/meetings/{meeting}/invitations", guests)
                assert refused == (403, "email_unconfirmed")
                continue
            await ada.ok("POST", f"/api/v1/meetings/{meeting}/invitations", guests)
            mail: Any = await mails.next()
            assert (mail["To"], mail["Reply-To"]) == ("grace@example.org", "ada@example.org")
            text, calendar = mail.get_payload()
            words = text.get_payload(decode=True).decode()
            assert "Friday, 1 March 2030, 09:00 (Europe/Berlin)" in words and f"/m/{meeting}" in words
            assert b"BEGIN:VCALENDAR" in calendar.get_payload(decode=True)
        assert mails.waiting == 0


async def test_an_address_counts_once_it_is_confirmed_and_the_old_one_can_take_it_back(config: ControlConfig) -> None:
    async with with_mail(config) as (people, mails):
        thief = await confirmed(people, mails, "ada", "ada@example.org")
        asked = await thief.ok("PUT", PROFILE, {"email": "thief@example.org"})
        assert (asked["email"], asked["email_verified"]) == ("ada@example.org", True)
        assert asked["email_pending"] == "thief@example.org"
        token = await token_in(mails, "thief@example.org", "verify-email")
        await people.nobody().ok("POST", VERIFY, {"token": token})
        changed = await thief.ok("GET", PROFILE)
        assert (changed["email"], changed["email_pending"]) == ("thief@example.org", None)
        undo = await token_in(mails, "ada@example.org", "undo-email")

        # A second change does not take away the way back, nor the thief's password and keys.
        await thief.ok("PUT", PROFILE, {"email": "again@example.org"})
        token = await token_in(mails, "again@example.org", "verify-email")
        await people.nobody().ok("POST", VERIFY, {"token": token})
        of_thief = await token_in(mails, "thief@example.org", "undo-email")
        body = {"new_password": "of the thief"}
        thief = people.bearer((await thief.ok("POST", "/api/v1/users/change-password", body))["access_token"])
        key = {"name": "x", "scopes": ["meetings:read"]}
        key_of_thief = people.bearer((await thief.ok("POST", "/api/v1/users/api-keys", key))["secret"])

        back = {"token": undo, "password": "of the owner"}
        await people.nobody().ok("POST", "/api/v1/auth/undo-email", back)
        for left in (thief, key_of_thief):
            assert await left.refused("GET", "/api/v1/meetings") == (401, "invalid_token")
        for used in (undo, of_thief):
            again = {"token": used, "password": "whatever else"}
            assert await people.nobody().refused("POST", "/api/v1/auth/undo-email", again) == (403, "undo_token")
        login = {"username": "ada@example.org", "password": "of the owner", "mode": "token"}
        signed_in = await people.nobody().ok("POST", "/api/v1/auth/login", login)
        assert signed_in["user"]["email_verified"] is True
        assert mails.waiting == 0


async def test_a_link_that_waits_ends_with_the_password(config: ControlConfig) -> None:
    async with with_mail(config) as (people, mails):
        ada = await confirmed(people, mails, "ada", "ada@example.org")
        await ada.ok("PUT", PROFILE, {"email": "thief@example.org"})
        token = await token_in(mails, "thief@example.org", "verify-email")
        await ada.ok("POST", "/api/v1/users/change-password", {"new_password": "another password"})
        assert await people.nobody().refused("POST", VERIFY, {"token": token}) == (403, "verify_token")


async def test_what_was_asked_for_last_is_what_a_link_confirms(config: ControlConfig) -> None:
    async with with_mail(config) as (people, mails):
        ada = await confirmed(people, mails, "ada", "ada@example.org")
        await ada.ok("PUT", PROFILE, {"email": "typo@example.org"})
        early = await token_in(mails, "typo@example.org", "verify-email")
        back = await ada.ok("PUT", PROFILE, {"email": "ADA@example.org"})
        assert back["email_pending"] is None
        assert await people.nobody().refused("POST", VERIFY, {"token": early}) == (403, "verify_token")
        gone = await ada.ok("PUT", PROFILE, {"email": None})
        assert (gone["email"], gone["email_verified"]) == (None, False)
        await token_in(mails, "ada@example.org", "undo-email")


async def test_an_unconfirmed_address_reserves_nothing(config: ControlConfig) -> None:
    async with with_mail(config) as (people, mails):
        squatter = await register(people, "squatter", "ada@example.org")
        ada = await confirmed(people, mails, "ada", "ada@example.org")
        forgot = {"email": "ada@example.org"}
        await people.nobody().ok("POST", "/api/v1/auth/forgot-password", forgot)
        token = await token_in(mails, "ada@example.org", "reset-password")
        await people.nobody().ok("POST", "/api/v1/auth/reset-password", {"token": token, "password": "a new password"})
        login = {"username": "ada@example.org", "password": "a new password", "mode": "token"}
        assert (await people.nobody().ok("POST", "/api/v1/auth/login", login))["user"]["username"] == "ada"
        assert await ada.refused("GET", PROFILE) == (401, "invalid_token")
        # Who claims the address of somebody else cannot confirm it any more.
        await squatter.ok("POST", "/api/v1/users/verify-email")
        token = await token_in(mails, "ada@example.org", "verify-email")
        assert await people.nobody().refused("POST", VERIFY, {"token": token}) == (409, "account_exists")
        assert mails.waiting == 0


async def test_an_address_that_several_claim_gets_a_mail_for_each(config: ControlConfig) -> None:
    async with with_mail(config) as (people, mails):
        for name in ("first", "second"):
            await register(people, name, "shared@example.org")
        await people.nobody().ok("POST", "/api/v1/auth/forgot-password", {"email": "shared@example.org"})
        texts = [str((await mails.next()).get_payload()) for _ in range(2)]
        assert sorted(name for name in ("first", "second") for text in texts if f" {name}." in text) == [
            "first",
            "second",
        ]
        # The first owner of the address signs in with it.
        login = {"username": "shared@example.org", "password": PASSWORD, "mode": "token"}
        assert (await people.nobody().ok("POST", "/api/v1/auth/login", login))["user"]["username"] == "first"


async def test_an_address_that_is_another_ones_user_name_is_refused(people: People, dsn: str) -> None:
    """Accounts made by earlier releases may have a name that looks like an address."""
    await register(people, "bob")
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE users SET username = $1, username_key = $1", "bob@example.org")
    eve = await register(people, "eve")
    assert await eve.refused("PUT", PROFILE, {"email": "bob@example.org"}) == (409, "account_exists")
    login = {"username": "bob@example.org", "password": PASSWORD, "mode": "token"}
    assert (await people.nobody().ok("POST", "/api/v1/auth/login", login))["user"]["username"] == "bob@example.org"
    # The database itself holds it.
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(
            "UPDATE users SET email = $1, email_key = $1, email_verified_at = now() WHERE username = 'eve'",
            "bob@example.org",
        )
    await connection.close()


async def test_names_of_the_database_follow_the_account(people: People, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)

    async def names() -> list[str]:
        return [row["key"] for row in await connection.fetch("SELECT key FROM login_names ORDER BY key")]

    ada = await register(people, "Ada", "Ada@example.org")
    assert await names() == ["ada"]
    await connection.execute("UPDATE users SET email_verified_at = now()")
    assert await names() == ["ada", "ada@example.org"]
    await ada.ok("PUT", PROFILE, {"email": None})
    assert await names() == ["ada"]
    await ada.ok("DELETE", "/api/v1/users/account")
    assert await names() == []
    await connection.close()
