"""Credentials of requests: accounts by cookie, guests by bearer token, and sessions that expire meanwhile."""

from typing import Any

import aiohttp.web
import pytest
from playwright.async_api import Page

from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGNED_IN = {"user": {"id": "u1"}, "csrf_token": "c-1", "expires_in": 300}


def sent(server: ScriptedServer, path: str) -> list[Any]:
    return [body for _, requested, body in server.requests if requested == path]


async def test_guests_use_their_token_except_to_join(page: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings/m1/join"] = (200, server.join_answer(participant_token="guest-1"))
    server.answers["POST", "/meetings/m1/leave"] = (200, {"ok": True})
    await page.evaluate(
        """async () => {
          const rest = new sdk.Rest();
          await rest.join('m1', {name: 'Ada'});
          await rest.leave('m1');
          await rest.join('m1', {name: 'Ada'});
          rest.forgetMeeting();
          await rest.leave('m1');
        }"""
    )
    bearers = [headers.get("Authorization") for path, headers in server.headers if path.startswith("/meetings")]
    assert bearers == [None, "Bearer guest-1", None, None]


async def test_a_session_that_may_have_run_out_is_renewed_before_joining(page: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "c-0"})
    server.answers["POST", "/auth/refresh"] = (200, SIGNED_IN)
    await page.evaluate(
        "async () => { const rest = new sdk.Rest(); await rest.join('m1', {}); await rest.join('m1', {}); }"
    )
    paths = [path for _, path, _ in server.requests]
    assert paths == ["/auth/session", "/auth/refresh", "/meetings/m1/join", "/meetings/m1/join"]
    assert dict(server.headers)["/meetings/m1/join"]["X-CSRF-Token"] == "c-1"


async def test_a_request_of_a_session_that_ran_out_is_repeated_once(page: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "c-0"})
    server.answers["POST", "/auth/refresh"] = (200, SIGNED_IN)
    outcome = await page.evaluate("() => new sdk.Rest().meetings().then(() => 'ok', (error) => error.status)")
    assert outcome == 404
    server.answers["GET", "/meetings"] = (401, {"code": "not_signed_in", "detail": "Sign in first."})
    assert await page.evaluate("() => new sdk.Rest().meetings().catch((error) => error.code)") == "not_signed_in"
    assert [path for _, path, _ in server.requests] == [
        "/meetings", "/meetings", "/auth/session", "/auth/refresh", "/meetings"
    ]  # fmt: skip


async def test_who_is_not_signed_in_asks_for_nothing_that_is_refused(page: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, {})
    assert await page.evaluate(
        """async () => {
          const rest = new sdk.Rest();
          const [, user] = await Promise.all([rest.prefetch(), rest.profile(), rest.meeting('m1')]);
          await rest.join('m1', {name: 'Ada'});
          return user;
        }"""
    ) is None  # fmt: skip
    assert sorted(path for _, path, _ in server.requests) == [
        "/auth/session", "/meetings/m1/join", "/meetings/m1/summary"
    ]  # fmt: skip


async def test_a_csrf_token_of_an_ended_session_is_asked_for_again(page: Page, server: ScriptedServer) -> None:
    tokens = iter(["c-1", "c-2"])

    def token(_: aiohttp.web.Request) -> tuple[int, Any]:
        return 200, {"csrf_token": next(tokens)}

    def end(request: aiohttp.web.Request) -> tuple[int, Any]:
        good = request.headers.get("X-CSRF-Token") == "c-2"
        return (200, {"ok": True}) if good else (403, {"code": "csrf", "detail": "Another session's."})

    server.answers["GET", "/csrf-token"] = token
    server.answers["POST", "/meetings/m1/end"] = end
    assert await page.evaluate("() => new sdk.Rest().end('m1')") == {"ok": True}


async def test_a_stale_rejoin_secret_is_dropped(page: Page, server: ScriptedServer) -> None:
    def join(_: aiohttp.web.Request) -> tuple[int, Any]:
        if "rejoin_secret" in server.joins()[-1]:
            return 403, {"code": "rejoin_secret", "detail": "The rejoin secret is invalid."}
        return 200, server.join_answer()

    server.answers["POST", "/meetings/m1/join"] = join
    await page.evaluate("() => sdk.admission(new sdk.Rest(), 'm1', {name: 'Ada', rejoin_secret: 'old'})(false)")
    assert server.joins() == [{"name": "Ada", "rejoin_secret": "old"}, {"name": "Ada"}]


async def test_problems_keep_their_code_and_sentence(page: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings"] = (429, {"code": "too_many_requests", "detail": "Wait a minute."})
    assert await page.evaluate(
        "() => new sdk.Rest().meetings().catch(({status, code, message}) => [status, code, message])"
    ) == [429, "too_many_requests", "Wait a minute."]
