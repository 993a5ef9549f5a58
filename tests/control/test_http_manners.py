"""Idempotency keys, entity tags, rate-limit headers and the OpenAPI document."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp

from control.app import openapi_document
from control.config import ControlConfig, RateLimits
from tests.control.harness import People, serving


async def test_a_repeated_post_happens_once(people: People) -> None:
    ada, eve = await people.user("ada"), await people.user("eve")
    key = {"Idempotency-Key": "k-1"}
    first = await ada.ok("POST", "/api/v1/meetings", {"title": "A"}, **key)
    again = await ada.ok("POST", "/api/v1/meetings", {"title": "A"}, **key)
    assert again == first
    assert await ada.refused("POST", "/api/v1/meetings", {"title": "B"}, **key) == (422, "idempotency_key")
    other = await eve.ok("POST", "/api/v1/meetings", {"title": "A"}, **key)
    assert other["id"] != first["id"]
    assert len((await ada.ok("GET", "/api/v1/meetings"))["meetings"]) == 1


async def test_posts_repeated_at_once_make_one_meeting(people: People) -> None:
    ada = await people.user("ada")
    headers = {"Idempotency-Key": "same"}
    answers = await asyncio.gather(*(ada.call("POST", "/api/v1/meetings", {}, **headers) for _ in range(6)))
    assert {status for status, _ in answers} <= {201, 409}
    assert len((await ada.ok("GET", "/api/v1/meetings"))["meetings"]) == 1


async def test_a_refused_post_may_be_tried_again(people: People) -> None:
    ada = await people.user("ada")
    key = {"Idempotency-Key": "k"}
    assert (await ada.refused("POST", "/api/v1/meetings", {"title": ""}, **key))[0] == 400
    assert await ada.ok("POST", "/api/v1/meetings", {"title": "T"}, **key)
    for bad in ("", "x" * 201, "é"):
        assert (await ada.call("POST", "/api/v1/meetings", {}, **{"Idempotency-Key": bad}))[0] == 400


async def test_entity_tags(people: People) -> None:
    ada = await people.user("ada")
    path = f"/api/v1/meetings/{(await ada.ok('POST', '/api/v1/meetings', {}))['id']}"
    async with ada.session.get(ada.server.url + path, headers=ada.headers) as answer:
        tag = answer.headers["ETag"]
    async with ada.session.get(ada.server.url + path, headers={**ada.headers, "If-None-Match": tag}) as answer:
        assert answer.status == 304
    await ada.ok("PUT", path, {"title": "B"}, **{"If-Match": tag})
    late = await ada.refused("PUT", path, {"title": "C"}, **{"If-Match": tag})
    assert late == (412, "changed_meanwhile")


async def test_requests_are_limited_and_headers_say_so(config: ControlConfig) -> None:
    async with (
        serving(replace(config, limits=RateLimits(account_requests=5))) as server,
        aiohttp.ClientSession() as session,
    ):
        people = People(session, server)
        ada = await people.user("ada")
        url = f"{server.url}/api/v1/users/profile"
        for left in range(4, -1, -1):
            async with session.get(url, headers=ada.headers) as answer:
                assert answer.headers["RateLimit-Remaining"] == str(left)
        async with session.get(url, headers=ada.headers) as answer:
            assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0


def test_openapi_references_resolve() -> None:
    document = openapi_document()
    components = document["components"]
    missing: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                _, kind, name = reference.rsplit("/", 2)
                if name not in components.get(kind, {}):
                    missing.append(reference)
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(document)
    assert missing == []
    identifiers = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(identifiers) == len(set(identifiers))
    assert all(one["summary"] for path in document["paths"].values() for one in path.values())
