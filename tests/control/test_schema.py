"""The REST API against its own document: schemathesis sends requests as administrator, host and guest.

Whatever is sent, there is no server error, and every response matches the document. Path parameters name existing
objects, so that requests pass the first checks. Nine of ten operations succeed at least once: with input from
schemathesis, with a body given here, or with several requests (schema_deeds).
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import aiohttp
import aiohttp.web
import asyncpg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from control.app import openapi_document
from control.config import ControlConfig
from control.identity.tokens import digest
from tests.control.authorization_stage import Stage, World, fill, set_stage
from tests.control.harness import PASSWORD, Client, People, serving
from tests.control.schema_deeds import DEEDS

EXAMPLES = 2
CALLERS = ("host", "guest", "admin")
CHECKED = [response_schema_conformance, content_type_conformance]
M = "/api/v1/meetings/{meeting}"
FILE = {"file": "<file>"}
# What does what the operation is for: the caller and the body. `owner` is whose session, key, … the paths name.
SENSIBLE: dict[str, tuple[str, Any]] = {
    "POST /api/v1/auth/login": ("host", {"username": "host", "password": PASSWORD}),
    "POST /api/v1/users/change-password": ("host", {"current_password": PASSWORD, "new_password": "another one"}),
    "DELETE /api/v1/users/account": ("host", None),
    "POST /api/v1/users/proof": ("host", {"password": PASSWORD}),
    "DELETE /api/v1/users/passkeys/{passkey}": ("owner", None),
    "DELETE /api/v1/users/api-keys/{key}": ("owner", None),
    "DELETE /api/v1/webhooks/{webhook}": ("owner", None),
    "DELETE /api/v1/users/sessions/{session}": ("owner", None),
    "GET /api/v1/webhooks/{webhook}/deliveries": ("owner", None),
    "POST /api/v1/users/passkeys/begin": ("host", None),
    "POST /api/v1/users/totp/begin": ("host", None),
    "DELETE /api/v1/users/totp": ("host", None),
    f"POST {M}/participants": ("host", {"username": "other-host"}),
    f"PUT {M}/messages/{{message}}": ("participant", {"text": "changed"}),
    f"POST {M}/document": ("participant", {"update": "AA=="}),
    "POST /api/v1/ai/analyze": ("host", {**FILE, "tasks": ["thumbnail"]}),
    "POST /api/v1/ai/batch": ("host", {"files": ["<file>"], "tasks": ["thumbnail"]}),
    "POST /api/v1/media/process": ("host", {**FILE, "tasks": ["thumbnail"]}),
    "POST /api/v1/ai/asr": ("host", FILE),
    "POST /api/v1/ai/synthesis": ("host", FILE),
    "POST /api/v1/ffmpeg/thumbnail": ("host", FILE),
    "POST /api/v1/recording/start": ("host", {"meeting": "<meeting>"}),
    "POST /api/v1/recording/stop": ("host", {"meeting": "<meeting>"}),
    f"POST {M}/recording/stop": ("host", None),
    "PUT /api/v1/recordings/{recording}/captions/{utterance}": ("host", {"text": "hello"}),
    "POST /api/v1/media/{file}/links": ("host", {}),
    "POST /api/v1/shared/{token}/open": ("anonymous", {"passcode": "open sesame"}),
    "DELETE /api/v1/media/{file}/links/{media_link}": ("host", None),
    "DELETE /api/v1/recordings/{recording}/file-links/{file_link}": ("host", None),
    "POST /api/v1/recordings/{recording}/file-links": ("host", {"name": "track0.webm"}),
    f"POST {M}/broadcast/outputs": ("host", {"kind": "rtmp", "name": "Ours", "url": "rtmp://live.example.org/app"}),
    f"POST {M}/broadcast/start": ("host", {"layout": "grid"}),
    f"POST {M}/broadcast/stop": ("host", None),
    f"DELETE {M}/broadcast/outputs/{{output}}": ("host", None),
    f"POST {M}/admissions": ("host", {"identity": "user-7", "name": "Ada"}),
    f"PUT {M}/spotlight": ("host", {"participant": None}),
    f"PUT {M}/metadata": ("host", {"metadata": "{}"}),
    f"PUT {M}/participants/{{participant}}/metadata": ("host", {"metadata": "{}"}),
    f"POST {M}/stream-keys": ("host", {"name": "Encoder", "role": "publish"}),
    f"DELETE {M}/stream-keys/{{stream_key}}": ("host", None),
    f"DELETE {M}/phone/calls/{{phone_call}}": ("host", None),
    f"POST {M}/breakouts": ("host", {"rooms": [{"title": "Blue"}], "automatic": True}),
    f"POST {M}/breakouts/open": ("host", None),
    f"POST {M}/breakouts/move": ("host", {}),
    f"POST {M}/breakouts/announce": ("host", {"text": "hello"}),
    f"POST {M}/breakouts/close": ("host", {"countdown_seconds": 0}),
    "POST /api/v1/webhooks": ("host", {"url": "https://example.org/hook"}),
    "POST /api/v1/users/verify-email": ("owner", None),
    "POST /api/v1/auth/refresh": ("host", {"refresh_token": "<refresh>"}),
    "POST /api/v1/auth/reset-password": ("host", {"token": "reset", "password": PASSWORD}),
    "POST /api/v1/auth/verify-email": ("host", {"token": "verify"}),
    "POST /api/v1/auth/undo-email": ("host", {"token": "undo", "password": PASSWORD}),
    "POST /api/v1/webhooks/{webhook}/deliveries/{delivery}/replay": ("owner", None),
    "POST /api/v1/webhooks/{webhook}/deliveries/replay-failed": ("owner", None),
    "POST /api/v1/webhooks/{webhook}/secret": ("owner", None),
    "POST /api/v1/webhooks/{webhook}/test": ("owner", None),
}
# What must have happened before: caller, method, path, body.
BEFORE: dict[str, tuple[str, str, str, Any]] = {
    "POST /api/v1/recording/stop": ("host", "POST", "/api/v1/recording/start", {"meeting": "<meeting>"}),
    f"POST {M}/recording/stop": ("host", "POST", "/api/v1/recording/start", {"meeting": "<meeting>"}),
    f"POST {M}/broadcast/stop": ("host", "POST", "/api/v1/meetings/<meeting>/broadcast/start", {}),
    f"POST {M}/breakouts/close": ("host", "POST", "/api/v1/meetings/<meeting>/breakouts/open", None),
    "POST /api/v1/users/verify-email": ("owner", "PUT", "/api/v1/users/profile", {"email": "owner@example.org"}),
}
# Operations that are not seen to succeed here, and why; each does in the test named.
NEVER: dict[str, str] = {
    f"POST {M}/transports/send": "a real node opens one: test_plain_transports",
    f"POST {M}/transports/receive": "the same",
    f"DELETE {M}/transports/{{transport}}": "the same",
    "GET /api/v1/ai/streams/{stream}": "there must be something that is analysed: test_ai_setup",
    "GET /api/v1/live/{watch}/{piece}": "a recorder must broadcast: test_broadcasts",
    f"GET {M}/broadcast/images/{{output}}": "an application must order them: test_live_egress",
    f"GET {M}/broadcast/images/{{output}}/{{image}}": "the same",
    f"DELETE {M}/broadcast/images/{{output}}": "the same",
    f"POST {M}/phone/pin": "telephones must be configured: test_phones",
    f"POST {M}/phone/calls": "the same",
    f"POST {M}/invitations": "mail must be configured: test_addresses",
    "POST /api/v1/shared/{token}/code": "the same: test_keeping",
    f"POST {M}/minutes": "a language model must be configured: test_minutes",
    f"POST {M}/captions/translate": "the same: test_caption_translation",
    "GET /api/v1/auth/oidc/{provider}/start": "a provider must be configured: test_single_sign_on",
    "GET /api/v1/auth/oidc/{provider}/callback": "the same",
    "DELETE /api/v1/admin/invitations/{invitation}": "somebody must be invited: test_oversight",
    "DELETE /api/v1/admin/users/{user}/sessions/{session}": "the account must be signed in: test_oversight",
    "POST /api/v1/setup": "the link works once, and has worked: test_accounts",
}
# Whoever does this is signed out.
ENDING = {"POST /api/v1/auth/logout", "DELETE /api/v1/users/account", "POST /api/v1/users/change-password"}
LAST = "DELETE /api/v1/users/sessions/{session}"
# What uses up the meeting, or its things.
CONSUMING = (
    "/end",
    "/force-end",
    "/recording/start",
    "/recording/stop",
    "/remove",
    "/admit",
    "/deny",
    "/room",
    "/broadcast/start",
    "/broadcast/stop",
    "/breakouts/open",
    "/breakouts/close",
    "/role",
)


@asynccontextmanager
async def inference() -> AsyncIterator[str]:
    """Inference's responses to requests."""
    answers: dict[str, Any] = {
        "health": {"status": "ok", "captions": True, "reason": None, "model": "base"},
        "info": {"models": [], "recogniser": None, "synthesis": {}, "emotion": {}},
        "streams": {"streams": []},
        "stats": {"streams": 0, "files": 0, "segments": 0, "failed": 0},
    }

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        found = answers.get(request.match_info["what"])
        return aiohttp.web.json_response(found, status=200 if found is not None else 404)

    application = aiohttp.web.Application()
    application.router.add_get("/ai/v1/{what:.*}", answer)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("long_sessions", "quick_thumbnails")
async def test_every_answer_is_as_the_document_says(config: ControlConfig, dsn: str) -> None:
    async with (
        inference() as url,
        serving(replace(config, inference_url=url)) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        people = People(session, server)
        stage = await set_stage(people, server.config, dsn)
        await _examine(people, stage, await _secrets(people, stage, dsn))


async def _secrets(people: People, stage: Stage, dsn: str) -> dict[str, str]:
    """Have what travels by mail, or was sent: tokens and a delivery; returns placeholders of bodies."""
    forgetful, unsure = await people.user("forgetful"), await people.user("unsure")
    connection = await asyncpg.connect(dsn)
    await connection.executemany(
        "INSERT INTO account_tokens (token_hash, user_id, purpose, email, expires_at)"
        " VALUES ($1, $2, $3, $3 || '@example.org', now() + interval '1 hour')",
        [
            (digest("reset"), forgetful.user["id"], "reset"),
            (digest("verify"), unsure.user["id"], "verify"),
            (digest("undo"), unsure.user["id"], "undo"),
        ],
    )
    await connection.execute(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, kind, body) VALUES ($1, 1, 'x', '{}')",
        stage.sessions["webhook"],
    )
    await connection.close()
    login = {"username": "host", "password": PASSWORD, "mode": "token"}
    return {"<refresh>": (await people.nobody().ok("POST", "/api/v1/auth/login", login))["refresh_token"]}


async def _examine(people: People, stage: Stage, tokens: dict[str, str]) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi_document())))
    operations = [found.ok() for found in schema.get_all_operations()]
    done: dict[str, set[int]] = {operation.label: set() for operation in operations}
    wrong: list[str] = []
    order = {"GET": 0, "PUT": 1, "PATCH": 1, "POST": 1, "DELETE": 2}
    world: World | None = None
    for operation in sorted(operations, key=lambda one: (one.label == LAST, order[one.method.upper()])):
        label = operation.label
        consumes = label.startswith("DELETE") or label.endswith(CONSUMING)
        if world is None or consumes:
            world = await stage.meeting()
        if label in DEEDS:
            done[label].add(await DEEDS[label](people, stage, world))
        if label in SENSIBLE:
            done[label].add(await _sensible(people, stage, world, label, tokens))
        headers = {caller: (await _client(people, stage, world, label, caller)).headers for caller in CALLERS}
        found = await asyncio.to_thread(_ask, operation, world.paths, people.nobody().server.url, headers)
        done[label] |= {status for _, status, _ in found}
        wrong += [f"{label} as {caller}: {status} {problem}" for caller, status, problem in found if problem]
        if consumes:
            world = None
    never = {label for label, statuses in done.items() if not any(200 <= status < 400 for status in statuses)}
    assert sorted(set(wrong)) == []
    assert never == set(NEVER), {label: done[label] for label in never ^ set(NEVER)}
    assert len(never) <= len(operations) / 10


async def _client(people: People, stage: Stage, world: World, label: str, caller: str) -> Client:
    if label in ENDING:
        return await people.user(f"leaving-{secrets.token_hex(4)}")
    return stage.accounts["banned-from"] if caller == "owner" else world.callers[caller]


async def _sensible(people: People, stage: Stage, world: World, label: str, tokens: dict[str, str]) -> int:
    def filled(value: Any) -> Any:
        return json.loads(fill(json.dumps(value), world.paths | tokens))

    if label in BEFORE:
        caller, method, path, body = BEFORE[label]
        await (await _client(people, stage, world, label, caller)).call(method, fill(path, world.paths), filled(body))
    caller, body = SENSIBLE[label]
    method, _, path = label.partition(" ")
    for name, value in _parameters(world.paths).items():
        path = path.replace(f"{{{name}}}", value)
    client = people.nobody() if path.startswith("/api/v1/auth/") else None
    client = client or await _client(people, stage, world, label, caller)
    status, _ = await client.call(method, path, filled(body))
    return status


def _parameters(paths: dict[str, str]) -> dict[str, str]:
    return {name.strip("<>").rpartition(":")[2]: value for name, value in paths.items()}


def _ask(
    operation: Any, paths: dict[str, str], url: str, callers: dict[str, dict[str, str]]
) -> list[tuple[str, int, str]]:
    """Send what schemathesis makes of an operation, as each caller with its headers.

    Returns callers, statuses, and what is wrong with the answers.
    """
    known = {one.name for one in operation.path_parameters}
    parameters = {name: value for name, value in _parameters(paths).items() if name in known}
    found: list[tuple[str, int, str]] = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(path_parameters=parameters))
    def send(case: Case) -> None:
        for caller, headers in callers.items():
            found.append((caller, *_answer(case, url, headers, session)))

    with requests.Session() as session:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # callers are known by their headers
        send()
    return found


def _answer(case: Case, url: str, headers: dict[str, str], session: requests.Session) -> tuple[int, str]:
    response = case.call(base_url=url, session=session, headers=headers, allow_redirects=False, timeout=30)
    # 502 and 503 say that a part behind control is away, which here most are.
    problem = response.text[:200] if response.status_code >= 500 and response.status_code not in {502, 503} else ""
    try:
        case.validate_response(response, checks=CHECKED)
    except FailureGroup as group:
        problem = "; ".join(f"{one.title} {one.message}"[:300] for one in group.exceptions)
    return response.status_code, problem
