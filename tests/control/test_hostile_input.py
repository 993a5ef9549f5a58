"""Hostile input and its clear refusal, which is never a server error.

Elsewhere: forged tokens (test_authorization), CSRF and malformed bodies (test_accounts), uploads that are pages, bombs
or too large (test_media), paths in archives (test_recordings), pages (test_pages), webhooks' addresses (test_webhooks).
"""

import asyncio
import gzip
import json

import asyncpg

from tests.control.harness import PASSWORD, Client, People

INJECTIONS = (
    "' OR 1=1 --",
    "'; DROP TABLE users; --",
    '" UNION SELECT * FROM users',
    "%27%20OR%20",
    "\\'; --",
    "$1::text",
)


async def test_sql_is_only_text(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    for text in INJECTIONS:
        await try_injection(people, ada, text)
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT count(*) FROM users") == 1
    await connection.close()


async def try_injection(people: People, ada: Client, text: str) -> None:
    made = await ada.ok("POST", "/api/v1/meetings", {"title": text, "description": text, "passcode": text})
    assert made["title"] == text
    login = {"username": text, "password": text}
    assert await people.nobody().refused("POST", "/api/v1/auth/login", login) == (401, "wrong_credentials")
    for path in (f"/api/v1/meetings/{text}", f"/api/v1/jobs/{text}", f"/api/v1/users/{text}/avatar"):
        status, code = await ada.refused("GET", path.replace("%", "%25").replace("#", "%23"))
        assert (status, code) == (404, "not_found")
    async with ada.session.get(
        f"{ada.server.url}/api/v1/meetings", params={"cursor": text}, headers=ada.headers
    ) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid_cursor")


UNSHOWN = ("a\r\nX-Evil: 1", "a\nb", "a\n", "a\tb", "\u202egnp.exe", "a\u2066b", "zero\u200bwidth", "\x7f")


async def test_names_have_no_control_or_direction_characters(people: People) -> None:
    ada = await people.user("ada")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {}))["id"]
    for text in UNSHOWN:
        for method, path, body in (
            ("PUT", "/api/v1/users/profile", {"display_name": text}),
            ("POST", "/api/v1/meetings", {"title": text}),
            ("POST", "/api/v1/users/api-keys", {"name": text, "scopes": ["meetings:read"]}),
            ("POST", f"/api/v1/meetings/{meeting}/join", {"name": text}),
        ):
            assert await ada.refused(method, path, body) == (400, "invalid_request")


async def test_names_that_look_the_same_are_the_same(people: People) -> None:
    await people.user("office")
    for twin in ("oﬃce", "OFFICE", "ｏｆｆｉｃｅ"):
        body = {"username": twin, "password": PASSWORD}
        assert await people.nobody().refused("POST", "/api/v1/auth/register", body) == (409, "account_exists")
    body = {"username": "Ünïcödé-名前", "password": PASSWORD, "mode": "token"}
    assert (await people.nobody().ok("POST", "/api/v1/auth/register", body))["user"]["username"] == body["username"]


async def test_addresses_carry_no_headers(people: People) -> None:
    for address in ("a@b.c\r\nBcc: x@y.z", "a b@c.d", "a@b.c\n", "a@b", "<a@b.c>\u0000"):
        body = {"username": "ada", "password": PASSWORD, "email": address}
        assert await people.nobody().refused("POST", "/api/v1/auth/register", body) == (400, "invalid_request")


async def test_file_names_and_titles_stay_out_of_headers(people: People) -> None:
    ada = await people.user("ada")
    name = 'a"\r\nX-Evil: 1\r\n\r\n<script>.txt'
    url = f"{ada.server.url}/api/v1/media/upload"
    async with ada.session.post(url, params={"name": name}, data=b"hello", headers=ada.headers) as answer:
        file = (await answer.json())["id"]
    async with ada.session.get(f"{ada.server.url}/api/v1/media/download/{file}", headers=ada.headers) as answer:
        assert "X-Evil" not in answer.headers
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


MORE = (
    ("/api/v1/auth/register", {"username": "eve", "password": PASSWORD, "role": "admin"}),
    ("/api/v1/auth/register", {"username": "eve", "password": PASSWORD, "must_confirm": False}),
    ("/api/v1/meetings", {"title": "T", "host_id": "user_1"}),
    ("/api/v1/meetings", {"title": "T", "event_seq": 7}),
    ("/api/v1/meetings", {"settings": {"admin": True}}),
)


async def test_no_more_is_assigned_than_there_is(people: People) -> None:
    ada = await people.user("ada")
    for path, body in MORE:
        assert await ada.refused("POST", path, body) == (400, "invalid_request")
    assert await ada.refused("PUT", "/api/v1/users/profile", {"role": "admin"}) == (400, "invalid_request")


async def sent(ada: Client, data: bytes, **headers: str) -> tuple[int, str]:
    url = f"{ada.server.url}/api/v1/meetings"
    given = {**ada.headers, "Content-Type": "application/json", **headers}
    async with ada.session.post(url, data=data, headers=given) as answer:
        return answer.status, (await answer.json())["code"]


STRANGE = (
    json.dumps({"k" * 200_000: 1}).encode(),
    b"[" * 100_000,
    b'{"settings":' * 20_000,
    b'{"title": "\\ud800"}',
    b'{"title": "\xff"}',
    b'{"title": 1e400}',
    b'{"title": "a", "title": "b\\u0000"}',
)


async def test_strange_json(people: People) -> None:
    ada = await people.user("ada")
    for data in STRANGE:
        assert await sent(ada, data) == (400, "invalid_request"), data[:20]
    huge = json.dumps({"k" * 1_000_000: 1}).encode()
    assert await sent(ada, huge) == (413, "too_large")
    bomb = gzip.compress(b'{"title": "' + b"a" * 10_000_000 + b'"}')  # nothing is inflated
    assert await sent(ada, bomb, **{"Content-Encoding": "gzip"}) == (400, "invalid_request")


async def test_ten_gigabytes_are_refused_before_they_come(people: People) -> None:
    ada = await people.user("ada")
    host, _, port = ada.server.addresses.http[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/media/upload?name=big HTTP/1.1\r\nHost: x\r\nContent-Length: 10737418240\r\n"
        + f"Authorization: {ada.headers['Authorization']}\r\n\r\n".encode()
    )
    async with asyncio.timeout(30):
        assert b" 413 " in await reader.readline()
    writer.close()
