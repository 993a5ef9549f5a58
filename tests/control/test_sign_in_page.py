"""Signing in on the page, in Chromium: passkeys from its virtual authenticator, and codes of an authenticator app."""

import time
from dataclasses import replace

import asyncpg
import pytest
from playwright.async_api import Page, expect

import web
from control.config import ControlConfig
from control.identity import totp
from tests.control.harness import PASSWORD, Server, serving
from tests.support.chromium import chromium

SECONDS = 30_000


async def with_authenticator(page: Page) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


async def sign_out(page: Page, home: str) -> None:
    await page.goto(home)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def walk_through(page: Page, server: Server) -> None:
    home = f"http://localhost:{server.addresses.http[0].rpartition(':')[2]}/"
    meetings = page.get_by_role("heading", name="Your meetings")
    await with_authenticator(page)
    await page.goto(home)
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_label("User name").fill("ada")
    await page.get_by_label("E-mail").fill("ada@example.org")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()

    # This server demands a second factor: the page leads to where one is made.
    keys = page.locator("section", has=page.get_by_role("heading", name="Passkeys"))
    await keys.get_by_label("Name").fill("laptop")
    await keys.get_by_role("button", name="Add a passkey").click()
    await expect(keys.get_by_text("laptop")).to_be_visible()

    await sign_out(page, home)
    await page.get_by_role("button", name="Use a passkey").click()
    await expect(meetings).to_be_visible()

    await page.goto(f"{home}account")
    app = page.locator("section", has=page.get_by_role("heading", name="Authenticator app"))
    await app.get_by_role("button", name="Set up").click()
    secret = await app.locator("code").inner_text()
    await app.get_by_label("Code shown in the app").fill(totp.code(secret, int(time.time()) // 30))
    await app.get_by_role("button", name="Turn on").click()
    recovery = await app.locator(".recovery-codes code").first.inner_text()

    await sign_out(page, home)
    await page.get_by_label("User name or e-mail").fill("ada")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_label("Code").fill(recovery)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(meetings).to_be_visible()
    await prove(page, server, home)
    await browse_the_api(page, home)


async def prove(page: Page, server: Server, home: str) -> None:
    """Changes that could take the account over ask for a proof some time after the sign-in, and go on with it."""
    connection = await asyncpg.connect(server.config.database_dsn)
    dialog = page.get_by_role("dialog")
    for section, action, done in (
        ("Password", "Change password", "Password changed."),
        ("Profile", "Save", "Saved."),
        ("Authenticator app", "Turn off", "can now sign in without a code"),
    ):
        await connection.execute("UPDATE user_sessions SET proved_at = now() - interval '6 minutes'")
        await page.goto(f"{home}account")
        part = page.locator("section", has=page.get_by_role("heading", name=section, exact=True))
        if section == "Password":
            await part.get_by_label("New password").fill(f"{PASSWORD} 2")
        elif section == "Profile":
            await part.get_by_label("E-mail").fill("new@example.org")
        else:
            await part.get_by_text("Turn it off").click()
        await part.get_by_role("button", name=action).click()
        await expect(dialog.get_by_label("Code")).to_be_visible()
        if section == "Password":
            await dialog.get_by_role("button", name="Cancel").click()
            await expect(part.get_by_text("Nothing was changed.")).to_be_visible()
            await part.get_by_role("button", name=action).click()
        await dialog.get_by_role("button", name="Use a passkey").click()
        await expect(page.get_by_text(done)).to_be_visible()
        await expect(dialog).to_have_count(0)
    await expect(part).to_be_visible()
    await connection.close()


async def browse_the_api(page: Page, home: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    await page.goto(f"{home}api/docs")
    await page.get_by_placeholder("Find a path or a word").fill("/meetings/{meeting}/join")
    await page.locator("summary", has_text="/meetings/{meeting}/join").click()
    await expect(page.get_by_text("rejoin_secret").first).to_be_visible()
    await expect(page.locator("summary", has_text="/api/v1/webhooks").first).to_be_hidden()
    assert complaints == []


@pytest.mark.filterwarnings("default::ResourceWarning")
async def test_every_way_to_sign_in(config: ControlConfig) -> None:
    changed = replace(config, web_root=web.ROOT, second_factor="required", http_binds=("127.0.0.1:0",))
    async with serving(changed) as server, chromium() as launched:
        page = await launched.browser.new_page()
        expect.set_options(timeout=SECONDS)
        page.set_default_timeout(SECONDS)
        await walk_through(page, server)
