"""Sessions, API keys, mail tokens, deletion and administration of accounts."""

import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest

from control.config import ControlConfig, SmtpConfig
from tests.control.harness import PASSWORD, Client, Node, People, serving
from tests.control.smtp_server import SmtpServer


async def make_admin(people: People, config: ControlConfig) -> Client:
    token = (config.data_dir / "first-admin-link").read_text().strip().partition("token=")[2]
    body = {"token": token, "username": "root", "password": PASSWORD, "mode": "token"}
    made = await people.nobody().ok("POST", "/api/v1/setup", body)
    client = people.bearer(made["access_token"])
    client.user = made["user"]
    return client


async def log_in(people: People, name: str, password: str = PASSWORD) -> Client:
    body = {"username": name, "password": password, "mode": "token"}
    return people.bearer((await people.nobody().ok("POST", "/api/v1/auth/login", body))["access_token"])


async def test_sessions_are_listed_and_revoked(people: People) -> None:
    ada = await people.user("ada")
    phone = await log_in(people, "ada")
    listed = (await ada.ok("GET", "/api/v1/users/sessions"))["sessions"]
    assert [one["current"] for one in listed].count(True) == 1 and len(listed) == 2
    other = next(one["id"] for one in listed if not one["current"])
    await ada.ok("DELETE", f"/api/v1/users/sessions/{other}")
    assert await phone.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
    eve = await people.user("eve")
    mine = (await ada.ok("GET", "/api/v1/users/sessions"))["sessions"][0]["id"]
    assert await eve.refused("DELETE", f"/api/v1/users/sessions/{mine}") == (404, "not_found")


async def test_api_key_does_what_its_scopes_say(people: People) -> None:
    ada = await people.user("ada")
    body = {"name": "ci", "scopes": ["meetings:read"]}
    made = await ada.ok("POST", "/api/v1/users/api-keys", body)
    key = people.bearer(made["secret"])
    await key.ok("GET", "/api/v1/meetings")
    assert await key.refused("POST", "/api/v1/meetings", {}) == (403, "scope")
    assert await key.refused("GET", "/api/v1/users/api-keys") == (403, "scope")
    assert await key.refused("GET", "/api/v1/recordings") == (403, "scope")
    listed = (await ada.ok("GET", "/api/v1/users/api-keys"))["keys"]
    assert listed[0]["secret"] is None and listed[0]["last_used_at"] is not None
    wide = {"name": "x", "scopes": ["admin:write"]}
    assert await ada.refused("POST", "/api/v1/users/api-keys", wide) == (403, "forbidden")
    await ada.ok("DELETE", f"/api/v1/users/api-keys/{made['id']}")
    assert await key.refused("GET", "/api/v1/meetings") == (401, "invalid_token")


async def test_expired_api_key_is_refused(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = await ada.ok(
        "POST", "/api/v1/users/api-keys", {"name": "x", "scopes": ["meetings:read"], "expires_at": soon}
    )
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE api_keys SET expires_at = now() - interval '1 second'")
    await connection.close()
    assert (await people.bearer(made["secret"]).refused("GET", "/api/v1/meetings"))[0] == 401


async def test_reset_and_verification_by_mail(config: ControlConfig) -> None:
    async with SmtpServer() as mails:
        smtp = SmtpConfig(host="127.0.0.1", port=mails.port, tls="none", sender="parley@example.org")
        changed = replace(config, smtp=smtp, public_origins=("https://meet.example.org",))
        async with serving(changed) as server, aiohttp.ClientSession() as session:
            people = People(session, server)
            body = {"username": "ada", "email": "ada@example.org", "password": PASSWORD, "mode": "token"}
            ada = people.bearer((await people.nobody().ok("POST", "/api/v1/auth/register", body))["access_token"])

            await ada.ok("POST", "/api/v1/users/verify-email")
            token = link_token(await mails.next(), "https://meet.example.org/verify-email")
            await people.nobody().ok("POST", "/api/v1/auth/verify-email", {"token": token})
            assert (await ada.ok("GET", "/api/v1/users/profile"))["email_verified"] is True

            forgot = "/api/v1/auth/forgot-password"
            await people.nobody().ok("POST", forgot, {"email": "nobody@example.org"})
            await people.nobody().ok("POST", forgot, {"email": "ADA@example.org"})
            mail = await mails.next()
            assert mail["To"] == "ada@example.org"
            token = link_token(mail, "https://meet.example.org/reset-password")
            reset = {"token": token, "password": "another password"}
            await people.nobody().ok("POST", "/api/v1/auth/reset-password", reset)
            assert await people.nobody().refused("POST", "/api/v1/auth/reset-password", reset) == (403, "reset_token")
            assert await ada.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
            await log_in(people, "ada", "another password")
            assert mails.waiting == 0


def link_token(mail: Any, address: str) -> str:
    found = re.search(re.escape(address) + r"\?token=(\S+)", mail.get_payload())
    assert found is not None
    return found[1]


async def test_mail_header_injection_is_refused(people: People) -> None:
    for email in ("a@b.c\nBcc: x@y.z", "a@b.c\r\n\r\nx", "a b@c.d"):
        body = {"username": "eve", "password": PASSWORD, "email": email}
        assert await people.nobody().refused("POST", "/api/v1/auth/register", body) == (400, "invalid_request")


async def test_administration(people: People, config: ControlConfig) -> None:
    root = await make_admin(people, config)
    eve = await people.user("eve")
    user = eve.user["id"]
    found = await root.ok("GET", "/api/v1/admin/users?search=EV")
    assert [one["id"] for one in found["users"]] == [user]
    meeting = (await eve.ok("POST", "/api/v1/meetings", {}))["id"]

    assert (await root.ok("POST", f"/api/v1/admin/users/{user}/ban"))["state"] == "banned"
    assert await eve.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
    login = {"username": "eve", "password": PASSWORD}
    assert await people.nobody().refused("POST", "/api/v1/auth/login", login) == (403, "banned")
    await root.ok("POST", f"/api/v1/admin/users/{user}/unban")
    eve = await log_in(people, "eve")
    await root.ok("PUT", f"/api/v1/admin/users/{user}", {"role": "admin"})
    assert await eve.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")

    assert (await root.ok("GET", "/api/v1/admin/meetings"))["meetings"][0]["id"] == meeting
    await root.ok("POST", f"/api/v1/admin/meetings/{meeting}/force-end")
    assert (await root.ok("GET", "/api/v1/admin/meetings/stats"))["meetings"] == 1
    await root.ok("DELETE", f"/api/v1/admin/users/{user}")
    kept = (await root.ok("POST", "/api/v1/meetings", {}))["id"]
    for method, path, body in (
        ("POST", f"/api/v1/admin/users/{root.user['id']}/ban", None),
        ("PUT", f"/api/v1/admin/users/{root.user['id']}", {"role": "user"}),
        ("DELETE", f"/api/v1/admin/users/{root.user['id']}", None),
        ("DELETE", "/api/v1/users/account", None),
    ):
        assert await root.refused(method, path, body) == (409, "last_admin")
    await root.ok("GET", f"/api/v1/meetings/{kept}")
    log = await root.ok("GET", "/api/v1/admin/audit?limit=3")
    assert log["entries"][0]["action"] == "delete_user"
    older = await root.ok("GET", f"/api/v1/admin/audit?cursor={log['next']}")
    assert "ban_user" in [one["action"] for one in older["entries"] + log["entries"]]


@pytest.mark.parametrize("bound", [True, False])
async def test_invitations_are_good_for_one_account(config: ControlConfig, bound: bool) -> None:
    async with serving(replace(config, registration="invite")) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        root = await make_admin(people, config)
        invited = {"email": "ada@example.org"} if bound else {}
        code = (await root.ok("POST", "/api/v1/admin/invitations", invited))["invitation"]
        body = {"username": "ada", "password": PASSWORD, "invitation": code, "email": "eve@example.org"}
        if bound:
            assert await people.nobody().refused("POST", "/api/v1/auth/register", body) == (403, "invitation")
        body["email"] = "ADA@example.org"
        await people.nobody().ok("POST", "/api/v1/auth/register", body)
        again = {**body, "username": "eve", "email": "ada2@example.org"}
        assert await people.nobody().refused("POST", "/api/v1/auth/register", again) == (403, "invitation")


async def test_deleting_an_account_leaves_nothing_behind(people: People, config: ControlConfig, dsn: str) -> None:
    await make_admin(people, config)
    ada, eve = await people.user("ada-to-be-forgotten"), await people.user("eve")
    user = ada.user["id"]
    own = (await ada.ok("POST", "/api/v1/meetings", {"title": "Own"}))["id"]
    joined = (await ada.ok("POST", f"/api/v1/meetings/{own}/join", {}))["participant"]
    other = (await eve.ok("POST", "/api/v1/meetings", {}))["id"]
    elsewhere = (await ada.ok("POST", f"/api/v1/meetings/{other}/join", {}))["participant"]
    await ada.ok("POST", "/api/v1/users/api-keys", {"name": "k", "scopes": ["meetings:read"]})
    upload = f"{ada.server.url}/api/v1/media/upload?name=secret.txt"
    async with ada.session.post(upload, data=b"hello", headers=ada.headers) as answer:
        assert answer.status == 201
    await ada.ok("DELETE", "/api/v1/users/account")
    assert await ada.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
    assert [path for path in (config.data_dir / "media").rglob("*") if path.is_file()] == []
    connection = await asyncpg.connect(dsn)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    left = []
    for table in tables:
        name = table["tablename"]
        rows = await connection.fetch(f'SELECT t::text AS row FROM "{name}" t')
        needles = ("ada-to-be-forgotten", own, joined, elsewhere)
        left += [(name, row["row"]) for row in rows if any(needle in row["row"] for needle in needles)]
        if name not in {"outbox"}:
            left += [(name, row["row"]) for row in rows if user in row["row"]]
    await connection.close()
    # The audit log and the outbox keep the deletion, with an id that no longer refers to anything.
    assert [entry for entry in left if entry[0] not in {"operation_logs", "outbox"}] == []


async def test_people_export_what_is_stored_about_them(people: People, node: Node) -> None:
    ada, _ = await people.user("ada"), await people.user("eve")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Budget"}))["id"]
    mine = (await ada.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
    await ada.ok("POST", f"/api/v1/meetings/{meeting}/messages", {"text": "hello"})
    async with ada.session.get(f"{ada.server.url}/api/v1/users/export", headers=ada.headers) as answer:
        assert (answer.status, answer.content_type) == (200, "application/zip")
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    files = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert files["account.json"]["account"][0]["username"] == "ada"
    assert [one["title"] for one in files["hosted-meetings-1.json"]] == ["Budget"]
    assert files["attended-meetings-1.json"][0]["participant"] == mine
    assert [one["text"] for one in files[f"messages/{meeting}-1.json"]] == ["hello"]
    assert "eve" not in str(files)
    assert "hash" not in str(files)


async def test_administrators_see_and_revoke_what_accounts_keep(people: People, config: ControlConfig) -> None:
    root, ada = await make_admin(people, config), await people.user("ada")
    made = await ada.ok("POST", "/api/v1/users/api-keys", {"name": "robot", "scopes": ["meetings:read"]})
    (key,) = (await root.ok("GET", "/api/v1/admin/api-keys"))["keys"]
    assert (key["id"], key["username"], key["scopes"]) == (made["id"], "ada", ["meetings:read"])
    robot = people.bearer(made["secret"])
    await robot.ok("GET", "/api/v1/meetings")
    await root.ok("DELETE", f"/api/v1/admin/api-keys/{made['id']}")
    assert (await robot.refused("GET", "/api/v1/meetings"))[0] == 401
    entry = (await root.ok("GET", "/api/v1/admin/audit"))["entries"][0]
    assert (entry["action"], entry["target"]) == ("revoke_api_key", ada.user["id"])

    upload = f"{ada.server.url}/api/v1/media/upload?name=a.txt"
    async with ada.session.post(upload, data=b"hello", headers=ada.headers) as answer:
        assert answer.status == 201
    (owner,) = (await root.ok("GET", "/api/v1/admin/storage"))["owners"]
    assert (owner["username"], owner["files"], owner["file_bytes"]) == ("ada", 1, 5)
    assert (await root.ok("GET", "/api/v1/admin/recordings"))["recordings"] == []
    (node,) = (await root.ok("GET", "/api/v1/admin/nodes"))["nodes"]
    assert node["node"] == "sfu-1"
