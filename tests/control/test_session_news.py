"""A ban or a sign-out by one control process holds in every other at once."""

import asyncio
from dataclasses import replace

import aiohttp
import asyncpg
import pytest

from control import session_cache
from control.config import ControlConfig
from tests.control.harness import PASSWORD, Client, People, Server, serving


async def test_what_one_process_ends_the_others_refuse(
    people: People, server: Server, config: ControlConfig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_cache, "_SECONDS", 600.0)  # by the news alone, not by forgetting
    async with (
        serving(replace(config, embedded=False)) as second,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        ada = await people.user("ada")
        there = Client(session, second, dict(ada.headers))
        await there.ok("GET", "/api/v1/users/profile")
        await ada.ok("POST", "/api/v1/auth/logout")

        await _refused(there)
        body = {"username": "ada", "password": PASSWORD, "mode": "token"}
        again = await people.nobody().ok("POST", "/api/v1/auth/login", body)
        there.headers = {"Authorization": f"Bearer {again['access_token']}"}
        await there.ok("GET", "/api/v1/users/profile")
        connection = await asyncpg.connect(dsn)  # as `parley admin` does, by no process of control's
        await connection.execute("UPDATE users SET state = 'banned', epoch = epoch + 1 WHERE username = 'ada'")
        await connection.close()
        await _refused(there)


async def _refused(client: Client) -> None:
    async with asyncio.timeout(30):
        while (await client.call("GET", "/api/v1/users/profile"))[0] != 401:
            await asyncio.sleep(0.01)
