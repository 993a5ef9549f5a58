"""Sharing, retention, export, and repair from the command line."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

import aiohttp
import asyncpg
import pytest

from control import admin_tools
from control.config import ControlConfig, Retention, SmtpConfig
from control.problem import Problem
from control.retention import apply
from control.services import open_services
from recorder.rescan import rescan
from tests.control.harness import PASSWORD, Client, People, serving
from tests.control.smtp_server import SmtpServer
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


async def test_a_link_with_a_passcode_opens_nothing_without_it(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    links = f"/api/v1/recordings/{recording}/links"
    assert await host.refused("POST", links, {"passcode": "short"}) == (400, "invalid_request")
    link = await host.ok("POST", links, {"passcode": "melon 42"})
    other = await host.ok("POST", links, {"passcode": "another one"})
    assert [one["passcode_required"] for one in (await host.ok("GET", links))["links"]] == [True, True]
    nobody = people.nobody()
    closed = (403, "link_passcode_required")
    for path in ("", "/captions", "/files/track0.webm"):
        assert await nobody.refused("GET", link["url"] + path) == closed
    wrong = await nobody.refused("POST", f"{link['url']}/open", {"passcode": "melon 43"})
    assert wrong == (403, "wrong_link_passcode")
    url = f"{nobody.server.url}{link['url']}"
    async with nobody.session.post(f"{url}/open", json={"passcode": "melon 42"}) as answer:
        cookie = answer.cookies["parley-visit"]
        assert (answer.status, cookie["path"], cookie["httponly"]) == (200, link["url"], True)
    headers = {"Cookie": f"parley-visit={cookie.value}"}
    async with nobody.session.get(f"{url}/files/track0.webm", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)
    async with nobody.session.get(f"{nobody.server.url}{other['url']}", headers=headers) as answer:
        assert answer.status == 403  # the cookie of one link does not open another


async def test_wrong_passcodes_of_a_link_are_limited(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    url = (await host.ok("POST", f"/api/v1/recordings/{recording}/links", {"passcode": "melon 42"}))["url"]
    nobody = people.nobody()
    codes = [
        (await nobody.call("POST", f"{url}/open", {"passcode": "x"}))[0]
        for _ in range(config.limits.passcode_failures + 1)
    ]
    assert codes[0] == 403 and codes[-1] == 429
    assert await nobody.refused("POST", f"{url}/open", {"passcode": "melon 42"}) == (429, "too_many_requests")


async def test_a_link_for_a_domain_opens_for_its_accounts_and_for_who_has_a_mailed_code(config: ControlConfig) -> None:
    async with SmtpServer() as mails, aiohttp.ClientSession() as session:
        smtp = SmtpConfig(host="127.0.0.1", port=mails.port, tls="none", sender="parley@example.org")
        async with serving(replace(config, smtp=smtp)) as server:
            people = People(session, server)
            host = await people.user("ada")
            _, recording = await recorded(host, config)
            body = {"domains": ["Example.ORG"], "passcode": "melon 42"}
            link = await host.ok("POST", f"/api/v1/recordings/{recording}/links", body)
            assert link["domains"] == ["example.org"]
            url, nobody = link["url"], people.nobody()
            grace = {"address": "Grace@example.org"}
            assert await nobody.refused("POST", f"{url}/code", grace) == (403, "link_passcode_required")
            visitor = await _open(people, url, {"passcode": "melon 42"})
            assert await visitor.refused("GET", url) == (403, "link_address_required")
            assert await visitor.refused("POST", f"{url}/code", {"address": "grace@mail.example.org"}) == (
                403,
                "link_domain",
            )
            await visitor.ok("POST", f"{url}/code", grace)
            mail = await mails.next()
            found = re.search(r"\d{8}", mail.get_payload())
            assert mail["To"] == grace["address"] and found is not None
            other = {"address": "eve@example.org", "code": found[0]}
            assert await visitor.refused("POST", f"{url}/open", other) == (403, "wrong_link_code")
            opened = await _open(people, url, grace | {"code": f"{found[0][:4]} {found[0][4:]}"}, visitor)
            assert (await opened.ok("GET", url))["tracks"][0]["files"] == ["track0.webm"]

            accounts = await host.ok("POST", f"/api/v1/recordings/{recording}/links", {"domains": ["example.org"]})
            register = {"username": "lin", "email": "lin@example.org", "password": PASSWORD, "mode": "token"}
            lin = people.bearer((await nobody.ok("POST", "/api/v1/auth/register", register))["access_token"])
            assert await lin.refused("GET", accounts["url"]) == (403, "link_address_required")  # not confirmed yet
            await lin.ok("POST", "/api/v1/users/verify-email")
            token = re.search(r"token=(\S+)", (await mails.next()).get_payload())
            assert token is not None
            await nobody.ok("POST", "/api/v1/auth/verify-email", {"token": token[1]})
            await lin.ok("GET", accounts["url"])


async def test_without_mail_a_link_for_a_domain_opens_for_accounts_alone(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    url = (await host.ok("POST", f"/api/v1/recordings/{recording}/links", {"domains": ["example.org"]}))["url"]
    nobody = people.nobody()
    assert await nobody.refused("GET", f"{url}/files/track0.webm") == (403, "link_account_required")
    assert await nobody.refused("POST", f"{url}/code", {"address": "a@example.org"}) == (409, "no_mail")


async def _open(people: People, url: str, body: dict[str, str], before: Client | None = None) -> Client:
    """Return a browser that gave a link a passcode or code, and keeps its cookie."""
    visitor = before or people.nobody()
    address = f"{visitor.server.url}{url}/open"
    async with visitor.session.post(address, json=body, headers=visitor.headers) as answer:
        assert answer.status == 200
        cookie = f"parley-visit={answer.cookies['parley-visit'].value}"
    return replace(visitor, headers={**visitor.headers, "Cookie": cookie})


async def test_retention_deletes_what_is_too_old(people: People, config: ControlConfig, dsn: str) -> None:
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


async def test_a_meeting_may_keep_its_recordings_for_fewer_days(config: ControlConfig, dsn: str) -> None:
    config = replace(config, retention=Retention(recordings_days=30), recordings_quota_bytes=1)
    async with serving(config) as server, aiohttp.ClientSession() as session:
        host, other = await People(session, server).user("ada"), await People(session, server).user("bob")
        meeting, recording = await recorded(host, config)
        path, start = f"/api/v1/meetings/{meeting}", f"/api/v1/meetings/{meeting}/recording/start"
        storage = (await host.ok("GET", f"{path}/recordings"))["storage"]
        assert storage["used_bytes"] > storage["quota_bytes"] == 1
        assert await host.refused("POST", start) == (507, "recordings_quota")
        elsewhere = (await other.ok("POST", "/api/v1/meetings", {}))["id"]
        await other.ok("POST", f"/api/v1/meetings/{elsewhere}/recording/start")
        for days, refusal in ((0, "invalid_request"), (31, "invalid_retention")):
            assert await host.refused("PATCH", path, {"settings": {"keep_recordings_days": days}}) == (400, refusal)
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE meeting_recordings SET started_at = now() - interval '8 days'")
        services = await open_services(config)
        try:
            await apply(services)
            await host.ok("PATCH", path, {"settings": {"keep_recordings_days": 7}})
            shown = (await host.ok("GET", f"/api/v1/recordings/{recording}"))["recording"]
            kept = datetime.fromisoformat(shown["deleted_at"]) - datetime.fromisoformat(shown["started_at"])
            assert kept == timedelta(days=7)
            await apply(services)
        finally:
            await services.close()
        assert await host.refused("GET", f"/api/v1/recordings/{recording}") == (404, "not_found")
        await host.ok("POST", start)
        again = await connection.fetchval("SELECT keep_days FROM meeting_recordings WHERE meeting_id = $1", meeting)
        actions = [row["action"] for row in await connection.fetch("SELECT action FROM operation_logs")]
        await connection.close()
        assert again == 7 and actions.count("set_recording_retention") == 1


async def test_a_hold_stops_every_deletion(people: People, config: ControlConfig, dsn: str) -> None:
    host, admin = await people.user("ada"), await people.user("root")
    meeting, held = await recorded(host, config)
    path = f"/api/v1/recordings/{held}"
    assert (await host.ok("PUT", f"{path}/hold", {"held": True}))["held"] is True
    assert await host.refused("DELETE", path) == (409, "held")
    assert await host.refused("DELETE", f"/api/v1/meetings/{meeting}") == (409, "held")
    assert await host.refused("DELETE", "/api/v1/users/account") == (409, "held")
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE users SET role = 'admin' WHERE username = 'root'")
    await connection.execute("UPDATE meeting_recordings SET started_at = now() - interval '31 days'")
    services = await open_services(replace(config, retention=Retention(recordings_days=30, chat_days=1)))
    try:
        await connection.execute(
            "INSERT INTO signaling_messages (meeting_id, message, participant_id, name, text, sent_at)"
            " SELECT $1, 'm1', id, 'Ada', 'hello', now() - interval '2 days' FROM meeting_participants"
            " WHERE meeting_id = $1 LIMIT 1",
            meeting,
        )
        await services.archive.objects.remove(f"{held}/legal.hold")  # an earlier release did not write it
        await apply(services)
        assert (await host.ok("GET", path))["recording"]["held"] is True
        assert await connection.fetchval("SELECT count(*) FROM signaling_messages") == 1
        assert [found.hold for found in rescan(services.archive.objects.store)] == ["host"]
        await admin.ok("PUT", f"{path}/hold", {"held": True})
        assert await host.refused("PUT", f"{path}/hold", {"held": False}) == (403, "forbidden")
        await admin.ok("PUT", f"{path}/hold", {"held": False})
        await apply(services)
    finally:
        await services.close()
    assert await host.refused("GET", path) == (404, "not_found")
    assert await connection.fetchval("SELECT count(*) FROM signaling_messages") == 0
    logged = await connection.fetch(
        "SELECT action FROM operation_logs WHERE target = $1 AND action LIKE '%\\_recording'", held
    )
    await connection.close()
    actions = [row["action"] for row in logged]
    assert [actions.count(one) for one in ("hold_recording", "release_recording", "retention_recording")] == [2, 1, 1]


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
