"""CORS: pages of listed origins call REST with bearer tokens, never with cookies; others do not."""

import dataclasses

import aiohttp

from control.config import ControlConfig
from tests.control.harness import PASSWORD, Client, People, serving

LISTED = "https://app.example.org"


async def send(client: Client, method: str, path: str, origin: str, **more: str) -> aiohttp.ClientResponse:
    url, headers = f"{client.server.url}{path}", {**client.headers, "Origin": origin, **more}
    body = {} if method == "POST" else None
    async with client.session.request(method, url, headers=headers, json=body) as answer:
        await answer.read()
        return answer


async def test_pages_of_listed_origins_call_with_bearer_tokens(config: ControlConfig) -> None:
    config = dataclasses.replace(config, cors_origins=(LISTED,), embed_origins=(LISTED,))
    async with serving(config) as server, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        people = People(session, server)
        ada = await people.user("ada")
        wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = await send(people.nobody(), "OPTIONS", "/api/v1/meetings", LISTED, **wish)
        assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, LISTED)
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in preflight.headers

        made = await send(ada, "POST", "/api/v1/meetings", LISTED)
        assert (made.status, made.headers["Access-Control-Allow-Origin"]) == (201, LISTED)
        refusal = await send(people.nobody(), "GET", "/api/v1/meetings", LISTED)
        assert (refusal.status, refusal.headers["Access-Control-Allow-Origin"]) == (401, LISTED)

        for origin in ("https://app.example.org.evil.example", "http://app.example.org", "null"):
            foreign = await send(ada, "POST", "/api/v1/meetings", origin)
            assert (foreign.status, foreign.headers["Vary"]) == (403, "Origin")
            assert "Access-Control-Allow-Origin" not in foreign.headers

        assert (await send(ada, "POST", "/api/v1/meetings", LISTED, Cookie="any=thing")).status == 403
        body, headers = {"username": "ada", "password": PASSWORD}, {"Origin": LISTED}
        async with session.post(f"{server.url}/api/v1/auth/login", json=body, headers=headers) as answer:
            assert (answer.status, "Set-Cookie" in answer.headers) == (200, False)

        # Such pages can show only a meeting in a frame.
        for path, frames in (("/m/abcd", f"'self' {LISTED}"), ("/", "'none'"), ("/account", "'none'")):
            shown = await send(people.nobody(), "GET", path, LISTED)
            assert shown.headers["Content-Security-Policy"].endswith(f"frame-ancestors {frames}")


async def test_without_the_setting_nothing_is_said(people: People) -> None:
    ada = await people.user("ada")
    assert (await send(ada, "POST", "/api/v1/meetings", LISTED)).status == 403
    assert "Access-Control-Allow-Origin" not in (await send(ada, "GET", "/api/v1/meetings", LISTED)).headers
