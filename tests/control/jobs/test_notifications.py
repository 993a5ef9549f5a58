"""Notifications: mails that an account wants, to its confirmed address, retried while the mail server is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import aiohttp
import pytest

from control.config import ControlConfig, SmtpConfig
from control.database import session as database
from control.jobs import notification_texts, notifications
from control.services import open_services
from control.store import notifications as switches
from tests.control.harness import PASSWORD, Client, People, Server, come_in, serving
from tests.control.jobs.test_outside_jobs import FILM, ask
from tests.control.smtp_server import SmtpServer
from tests.control.test_recordings import recorded

PATH = "/api/v1/users/notifications"


@dataclass
class Stage:
    people: People
    server: Server
    mails: SmtpServer
    dsn: str

    async def confirmed(self, name: str, **wanted: Any) -> Client:
        """Return an account with a confirmed address and these switches."""
        client = await self.people.user(name)
        async with database(self.dsn) as connection:
            await connection.execute(
                "UPDATE users SET email = $2, email_key = $2, email_verified_at = now() WHERE id = $1",
                client.user["id"],
                f"{name}@example.org",
            )
        await client.ok("PUT", PATH, wanted)
        return client


@asynccontextmanager
async def stage(config: ControlConfig, dsn: str) -> AsyncIterator[Stage]:
    async with SmtpServer() as mails:
        smtp = SmtpConfig(host="127.0.0.1", port=mails.port, sender="parley@example.org", tls="none")
        settings = replace(config, smtp=smtp, public_origins=("https://meet.example.org",))
        async with (
            serving(settings) as server,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            yield Stage(People(session, server), server, mails, dsn)


def text_of(mail: Message) -> str:
    return str(mail.get_payload(decode=True).decode())  # type: ignore[union-attr]


async def test_a_film_is_announced_in_the_language_of_the_account(config: ControlConfig, dsn: str) -> None:
    async with stage(config, dsn) as world:
        host = await world.confirmed("ada", film=True, language="zh-CN")
        _, recording = await recorded(host, world.server.config)
        job = (await ask(host, "claim", {"kinds": ["compose"], "node": "recorder-1"}))[1]
        await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": FILM})
        mail = await world.mails.next()
        assert mail["To"] == "ada@example.org"
        assert mail["List-Unsubscribe"] == "<https://meet.example.org/account#notifications>"
        text = text_of(mail)
        assert f"https://meet.example.org/recordings/{recording}" in text
        assert "录制视频已生成" in text and "https://meet.example.org/account#notifications" in text


async def test_a_sign_in_from_a_new_device_is_told_unless_switched_off(config: ControlConfig, dsn: str) -> None:
    async with stage(config, dsn) as world:
        ada = await world.confirmed("ada")
        login = {"username": "ada", "password": PASSWORD, "mode": "token"}
        nobody = world.people.nobody()
        await nobody.ok("POST", "/api/v1/auth/login", login)  # the browser of the registration
        await nobody.ok("POST", "/api/v1/auth/login", login, **{"User-Agent": "Other/1\n <b>"[:7]})
        mail = await world.mails.next()
        assert mail["Subject"] == "Sign-in from a new device"
        assert "Browser: Other/1" in text_of(mail) and "Address: 127.0.0.1" in text_of(mail)
        assert (await ada.ok("PUT", PATH, {"sign_in": False}))["sign_in"] is False
        await nobody.ok("POST", "/api/v1/auth/login", login, **{"User-Agent": "Third/1"})
        await ada.ok("PUT", PATH, {"sign_in": True})
        await nobody.ok("POST", "/api/v1/auth/login", login, **{"User-Agent": "Fourth/1"})
        assert "Fourth/1" in text_of(await world.mails.next())


async def test_a_host_who_is_away_is_called_once(config: ControlConfig, dsn: str) -> None:
    async with stage(config, dsn) as world:
        host = await world.confirmed("ada", lobby=True)
        made = await host.ok("POST", "/api/v1/meetings", {"title": "Retro", "settings": {"lobby": True}})
        for name in ("Bob", "Eve"):
            status, _ = await world.people.nobody().call("POST", f"/api/v1/meetings/{made['id']}/join", {"name": name})
            assert status == 202
        mail = await world.mails.next()
        assert mail["Subject"] == "Somebody waits for you: Retro"
        assert f"https://meet.example.org/m/{made['id']}" in text_of(mail)
        other = await host.ok("POST", "/api/v1/meetings", {"settings": {"lobby": True}})
        here = (await host.ok("POST", f"/api/v1/meetings/{other['id']}/join", {}))["participant"]
        await come_in(host, other["id"], here)
        await world.people.nobody().call("POST", f"/api/v1/meetings/{other['id']}/join", {"name": "Bob"})
        async with database(dsn) as connection:
            assert await connection.fetchval("SELECT count(*) FROM processing_jobs WHERE kind = 'notification'") == 1


async def test_a_meeting_is_announced_once_and_a_series_each_time(config: ControlConfig, dsn: str) -> None:
    async with stage(config, dsn) as world:
        host = await world.confirmed("ada", reminder=True)
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=6)
        series = {"recurrence": "FREQ=DAILY", "scheduled_start": (soon - timedelta(days=3)).isoformat()}
        for plan in (
            {"title": "Single", "scheduled_start": soon.isoformat()},
            {"title": "Series", "time_zone": "Europe/Berlin", **series},
            {"title": "Later", "scheduled_start": (soon + timedelta(minutes=30)).isoformat()},
        ):
            await host.ok("POST", "/api/v1/meetings", plan)
        services = await open_services(replace(world.server.config, embedded=False))
        try:
            for _ in range(2):
                await notifications.remind(services)
        finally:
            await services.close()
        subjects = {str((await world.mails.next())["Subject"]).partition(" ")[0] for _ in range(2)}
        assert subjects == {"Single", "Series"}
        async with database(dsn) as connection:
            assert await connection.fetchval("SELECT count(*) FROM processing_jobs WHERE kind = 'notification'") == 2


async def test_an_outage_delays_a_mail_and_a_flood_is_cut(
    config: ControlConfig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_FIRST_PAUSE_SECONDS", 0.2)
    async with stage(config, dsn) as world:
        ada = await world.confirmed("ada", lobby=True)
        meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Retro"}))["id"]
        port, world.mails.refuses = world.mails.port, True
        async with database(dsn) as connection:
            await switches.queue(connection, ada.user["id"], "lobby", meeting=meeting)
            async with asyncio.timeout(30):
                while not await connection.fetchval("SELECT max(failures) FROM processing_jobs"):
                    await asyncio.sleep(0.05)
            world.mails.refuses = False
            assert (await world.mails.next())["Subject"] == "Somebody waits for you: Retro"
            assert port == world.mails.port
            for _ in range(notifications.MOST_AN_HOUR):
                await switches.queue(connection, ada.user["id"], "lobby", meeting=meeting)
            async with asyncio.timeout(60):
                while await connection.fetchval("SELECT EXISTS (SELECT FROM processing_jobs WHERE state <> 'done')"):
                    await asyncio.sleep(0.05)
            reasons = await connection.column(
                "SELECT result->>'reason' FROM processing_jobs WHERE NOT (result->>'sent')::boolean"
            )
        assert world.mails.waiting == notifications.MOST_AN_HOUR - 1
        assert reasons == ["too_many"]


async def test_nothing_goes_to_an_address_that_is_not_confirmed(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    found = await ada.ok("PUT", PATH, {"lobby": True})
    assert found == {
        "film": False, "minutes": False, "sign_in": True, "reminder": False, "lobby": True, "language": "",
        "address": None,
    }  # fmt: skip
    assert await ada.ok("GET", PATH) == found
    async with database(dsn) as connection:
        await switches.queue(connection, ada.user["id"], "lobby", meeting="m")
        assert await connection.fetchval("SELECT count(*) FROM processing_jobs") == 0


@pytest.mark.parametrize("language", notification_texts.LANGUAGES)
def test_every_text_is_complete(language: str) -> None:
    values = dict.fromkeys(("title", "link", "username", "time", "address", "agent", "clock"), "x\r\ny {z}")
    for about in ("film", "minutes", "sign_in", "reminder", "lobby"):
        subject, body = notification_texts.mail(about, language, "https://off", values)
        assert "\n" not in subject and "https://off" in body and "x y {z}" in body
