"""Sharing, retention, export, and repair from the command line."""

import aiohttp
import asyncpg
import pytest

from control import admin_tools
from control.config import ControlConfig, Retention
from control.problem import Problem
from control.retention import apply
from control.services import open_services
from tests.control.harness import PASSWORD, People
from tests.control.test_recordings import DATA, recorded


async def test_a_link_opens_one_recording_until_it_is_deleted(people: People, config: ControlConfig, dsn: str) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    link = await host.ok("POST", f"/api/v1/recordings/{recording}/links", {"days": 1})
    nobody = people.nobody()
    assert (await nobody.ok("GET", link["url"]))["tracks"][0]["files"] == ["track0.webm"]
    url = f"{nobody.server.url}{link['url']}/files/track0.webm"
    async with nobody.session.get(url, headers={"Range": "bytes=0-9"}) as answer:
        assert (answer.status, await answer.read()) == (206, DATA[:10])
    assert await nobody.refused("GET", f"{link['url']}/files/secret.jnl") == (404, "not_found")
    assert (await host.ok("GET", f"/api/v1/recordings/{recording}/links"))["links"][0]["url"] is None
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE recording_links SET expires_at = now() - interval '1 second'")
    assert await nobody.refused("GET", link["url"]) == (404, "not_found")
    await connection.execute("UPDATE recording_links SET expires_at = now() + interval '1 day'")
    await connection.close()
    await host.ok("DELETE", f"/api/v1/recordings/{recording}/links/{link['id']}")
    assert await nobody.refused("GET", link["url"]) == (404, "not_found")


async def test_retention_deletes_what_is_too_old(people: People, config: ControlConfig, dsn: str) -> None:
    from dataclasses import replace

    host = await people.user("ada")
    _, old = await recorded(host, config)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE meeting_recordings SET started_at = now() - interval '31 days'")
    await connection.execute("UPDATE operation_logs SET at = now() - interval '100 days'")
    limits = Retention(recordings_days=30, audit_days=90, chat_days=1, captions_days=1)
    services = await open_services(replace(config, retention=limits))
    try:
        await apply(services)
    finally:
        await services.close()
    assert await host.refused("GET", f"/api/v1/recordings/{old}") == (404, "not_found")
    assert not (config.recordings_dir / old).exists()
    kept = await connection.fetch("SELECT action FROM operation_logs")
    await connection.close()
    assert [row["action"] for row in kept] == ["retention_recording"]


async def test_command_line_tools(people: People, dsn: str) -> None:
    await admin_tools.create_admin(dsn, "root", "first password")
    with pytest.raises(Problem):
        await admin_tools.create_admin(dsn, "ROOT", "x")
    await admin_tools.reset_password(dsn, "root", PASSWORD)
    body = {"username": "root", "password": PASSWORD, "mode": "token"}
    root = people.bearer((await people.nobody().ok("POST", "/api/v1/auth/login", body))["access_token"])
    await root.ok("GET", "/api/v1/admin/users")
    meeting = (await root.ok("POST", "/api/v1/meetings", {"title": "Mine", "passcode": "secret"}))["id"]
    await root.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    exported = await admin_tools.export_user(dsn, "root")
    assert exported["meetings"][0]["title"] == "Mine"
    assert len(exported["meeting_participants"]) == 1
    assert not any("hash" in name for rows in exported.values() for row in rows for name in row)
    with pytest.raises(admin_tools.NoSuchUser):
        await admin_tools.export_user(dsn, "nobody")


async def test_slow_download_is_not_cut_off(people: People, config: ControlConfig) -> None:
    """A client that reads in small sips gets every byte."""
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    url = f"{host.server.url}/api/v1/recordings/{recording}/files/track0.webm"
    async with aiohttp.ClientSession(read_bufsize=4096) as session, session.get(url, headers=host.headers) as answer:
        read = b""
        while piece := await answer.content.read(4096):
            read += piece
    assert read == DATA
