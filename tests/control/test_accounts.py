"""Accounts in a browser (cookies, CSRF, Origin) and with bearer tokens."""

import importlib.metadata
import io
from dataclasses import replace

import aiohttp
import pytest

from control.config import ControlConfig, SmtpConfig
from tests.control.harness import PASSWORD, Client, People, Server, serving
from tests.control.smtp_server import SmtpServer


class Browser(Client):
    """A caller that keeps cookies and sends the headers of a page."""

    async def sign_up(self, name: str) -> None:
        origin = {"Origin": self.server.url}
        body = {"username": name, "password": PASSWORD}
        answer = await self.ok("POST", "/api/v1/auth/register", body, **origin)
        assert answer["access_token"] is None and answer["refresh_token"] is None
        self.headers = {**origin, "X-CSRF-Token": answer["csrf_token"]}

    def cookie(self, name: str) -> str:
        return next(morsel.value for morsel in self.session.cookie_jar if morsel.key == name)


def browser(server: Server) -> Browser:
    return Browser(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)), server)


async def test_cookie_session_needs_csrf_token_and_origin(server: Server) -> None:
    page = browser(server)
    async with page.session:
        await page.sign_up("ada")
        headers = page.headers
        page.headers = {}
        assert (await page.ok("GET", "/api/v1/users/profile"))["username"] == "ada"
        create = ("POST", "/api/v1/meetings", {})
        assert await page.refused(*create) == (403, "origin_required")
        assert await page.refused(*create, Origin=server.url) == (403, "csrf")
        assert await page.refused(*create, **{**headers, "Origin": "https://evil.example"}) == (403, "foreign_origin")
        assert await page.refused(*create, **{**headers, "X-CSRF-Token": "0" * 64}) == (403, "csrf")
        page.headers = headers
        await page.ok(*create)


async def test_csrf_token_of_another_session_is_refused(server: Server) -> None:
    one, other = browser(server), browser(server)
    async with one.session, other.session:
        await one.sign_up("ada")
        await other.sign_up("eve")
        other.headers["X-CSRF-Token"] = one.headers["X-CSRF-Token"]
        assert await other.refused("POST", "/api/v1/meetings", {}) == (403, "csrf")


async def test_cookie_and_bearer_at_once_are_refused(server: Server) -> None:
    page = browser(server)
    async with page.session:
        await page.sign_up("ada")
        page.headers["Authorization"] = "Bearer x"
        assert await page.refused("GET", "/api/v1/users/profile") == (400, "ambiguous_credentials")


async def test_cookies_are_http_only_and_lax(server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        body = {"username": "ada", "password": PASSWORD}
        async with session.post(f"{server.url}/api/v1/auth/register", json=body) as answer:
            cookies = answer.headers.getall("Set-Cookie")
    assert len(cookies) == 3
    for cookie in cookies:
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


async def test_refresh_rotates_and_a_used_token_ends_the_session(people: People, dsn: str) -> None:
    import asyncpg

    nobody = people.nobody()
    body = {"username": "ada", "password": PASSWORD, "mode": "token"}
    first = await nobody.ok("POST", "/api/v1/auth/register", body)
    second = await nobody.ok("POST", "/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    # Two tabs at once: within the grace the later one gets an access token and keeps the session.
    kept = await nobody.ok("POST", "/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert kept["access_token"] and kept["refresh_token"] is None
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE user_sessions SET rotated_at = now() - interval '11 seconds'")
    await connection.close()
    used = {"refresh_token": first["refresh_token"]}
    assert await nobody.refused("POST", "/api/v1/auth/refresh", used) == (401, "refresh_reused")
    newest = {"refresh_token": second["refresh_token"]}
    assert await nobody.refused("POST", "/api/v1/auth/refresh", newest) == (401, "not_signed_in")
    old = people.bearer(second["access_token"])
    assert await old.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "session_1.1.AAAA", "é.1.x", "1.1." + "A" * 43])
async def test_made_up_refresh_tokens_are_refused(people: People, token: str) -> None:
    status, _ = await people.nobody().refused("POST", "/api/v1/auth/refresh", {"refresh_token": token})
    assert status in {400, 401}


async def test_refresh_by_cookie_and_csrf_token_after_a_reload(server: Server) -> None:
    page = browser(server)
    async with page.session:
        await page.sign_up("ada")
        token = page.headers["X-CSRF-Token"]
        page.session.cookie_jar.clear(lambda morsel: morsel.key == "parley-access")
        assert await page.refused("GET", "/api/v1/users/profile") == (401, "not_signed_in")
        assert (await page.ok("GET", "/api/v1/csrf-token"))["csrf_token"] == token
        assert await page.ok("GET", "/api/v1/auth/session") == {"user": None, "csrf_token": token}
        refreshed = await page.ok("POST", "/api/v1/auth/refresh", {})
        assert refreshed["csrf_token"] == token
        assert (await page.ok("GET", "/api/v1/users/profile"))["username"] == "ada"


async def test_logout_ends_the_session_at_once(server: Server) -> None:
    page = browser(server)
    async with page.session:
        await page.sign_up("ada")
        access = page.cookie("parley-access")
        await page.ok("POST", "/api/v1/auth/logout")
        assert await page.refused("GET", "/api/v1/users/profile") == (401, "not_signed_in")
        page.session.cookie_jar.clear()
        assert await page.ok("GET", "/api/v1/auth/session") == {"user": None, "csrf_token": None}
        page.headers = {"Authorization": f"Bearer {access}"}
        assert await page.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")


async def test_changed_password_ends_other_sessions(people: People) -> None:
    ada = await people.user("ada")
    body = {"username": "ada", "password": PASSWORD, "mode": "token"}
    elsewhere = people.bearer((await people.nobody().ok("POST", "/api/v1/auth/login", body))["access_token"])
    path = "/api/v1/users/change-password"
    wrong = {"current_password": "not this", "new_password": "another password"}
    assert await ada.refused("POST", path, wrong) == (403, "forbidden")
    change = {"current_password": PASSWORD, "new_password": "another password"}
    changed = await ada.ok("POST", path, change)
    assert await elsewhere.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
    await people.bearer(changed["access_token"]).ok("GET", "/api/v1/users/profile")
    assert await people.nobody().refused("POST", "/api/v1/auth/login", body) == (401, "wrong_credentials")


async def test_names_are_unique_whatever_their_case_and_as_addresses(people: People) -> None:
    await people.user("Ada")
    again = {"username": "aDA", "password": PASSWORD}
    assert await people.nobody().refused("POST", "/api/v1/auth/register", again) == (409, "account_exists")
    body = {"username": "eve", "password": PASSWORD, "email": "eve@example.org"}
    await people.nobody().ok("POST", "/api/v1/auth/register", body)
    posing = {"username": "EVE@example.org", "password": PASSWORD}
    assert await people.nobody().refused("POST", "/api/v1/auth/register", posing) == (400, "invalid_request")


async def test_guessing_a_password_is_throttled(people: People) -> None:
    await people.user("ada")
    guess = {"username": "ada", "password": "guess"}
    for _ in range(10):
        assert await people.nobody().refused("POST", "/api/v1/auth/login", guess) == (401, "wrong_credentials")
    right = {"username": "ada", "password": PASSWORD}
    assert await people.nobody().refused("POST", "/api/v1/auth/login", right) == (429, "too_many_requests")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"username":"a\\u0000b","password":"12345678"}', 400),
        (b'{"username":"ada","password":"12345678","role":"admin"}', 400),
        (b'{"username":"ada","password":1}', 400),
        (b'{"username":"ada","password":"short"}', 400),
        (b'{"username":"<b>","password":"12345678"}', 400),
        (b'{"x' + b"x" * 300_000 + b'":1}', 413),
        (b"{" + b" " * 2_000_000 + b"}", 413),
    ],
)
async def test_malformed_bodies_are_refused(people: People, body: bytes, status: int) -> None:
    nobody = people.nobody()
    url = f"{nobody.server.url}/api/v1/auth/register"
    async with nobody.session.post(url, data=io.BytesIO(body), headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"


async def test_form_bodies_are_refused(people: People) -> None:
    nobody = people.nobody()
    async with nobody.session.post(f"{nobody.server.url}/api/v1/auth/login", data={"username": "a"}) as answer:
        assert answer.status == 415


async def test_first_admin_link_works_once(people: People, config: ControlConfig) -> None:
    link = config.data_dir / "first-admin-link"
    assert link.stat().st_mode & 0o777 == 0o600
    token = link.read_text().strip().partition("token=")[2]
    nobody = people.nobody()
    server = await nobody.ok("GET", "/api/v1/server")
    assert server["setup_needed"] is True and server["version"] == importlib.metadata.version("parley-sfu")
    body = {"token": "x", "username": "root", "password": PASSWORD, "mode": "token"}
    assert await nobody.refused("POST", "/api/v1/setup", body) == (403, "setup_token")
    made = await nobody.ok("POST", "/api/v1/setup", {**body, "token": token})
    assert made["user"]["role"] == "admin"
    assert not link.exists()
    again = {**body, "token": token, "username": "root2"}
    assert await nobody.refused("POST", "/api/v1/setup", again) == (403, "setup_token")


async def test_first_admin_link_survives_a_restart_until_used(config: ControlConfig) -> None:
    links = []
    for _ in range(2):
        async with serving(config):
            links.append((config.data_dir / "first-admin-link").read_text())
    assert links[0] == links[1]


@pytest.mark.parametrize(
    ("policy", "email", "outcome"),
    [
        ("closed", "a@example.org", "registration_closed"),
        ("invite", "a@example.org", "invitation"),
        ("domain", None, "registration_domain"),
        ("domain", "a@evil.example", "registration_domain"),
    ],
)
async def test_registration_policies(config: ControlConfig, policy: str, email: str | None, outcome: str) -> None:
    changed = replace(config, registration=policy, registration_domains=("example.org",))
    async with serving(changed) as server, aiohttp.ClientSession() as session:
        body = {"username": "ada", "password": PASSWORD, "email": email}
        status, answer = await Client(session, server).call("POST", "/api/v1/auth/register", body)
        assert (status, answer["code"]) == (403, outcome)


async def test_where_the_domain_decides_the_address_is_confirmed_first(config: ControlConfig) -> None:
    async with SmtpServer() as smtp, aiohttp.ClientSession() as session:
        mail = SmtpConfig(host="127.0.0.1", port=smtp.port, sender="parley@example.org", tls="none")
        changed = replace(config, registration="domain", registration_domains=("example.org",), smtp=mail)
        async with serving(changed) as server:
            nobody = Client(session, server)
            body = {"username": "ada", "password": PASSWORD, "email": "ada@EXAMPLE.org", "mode": "token"}
            status, answer = await nobody.call("POST", "/api/v1/auth/register", body)
            assert (status, answer) == (202, {"email": "ada@EXAMPLE.org"})
            await smtp.next()
            login = {"username": "ada", "password": PASSWORD, "mode": "token"}
            assert await nobody.refused("POST", "/api/v1/auth/login", login) == (403, "email_unconfirmed")
            text = str((await smtp.next()).get_payload())  # another one, since the first may be lost
            token = text.partition("token=")[2].split()[0]
            await nobody.ok("POST", "/api/v1/auth/verify-email", {"token": token})
            assert (await nobody.ok("POST", "/api/v1/auth/login", login))["user"]["email_verified"] is True
