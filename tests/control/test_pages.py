"""The page, its headers, and files that must not be served."""

import aiohttp
import pytest

from tests.control.harness import People


async def test_page_and_its_headers(people: People) -> None:
    nobody = people.nobody()
    for path in ("/", "/m/abcd-efgh-jkmn", "/setup?token=x", "/recordings"):
        async with nobody.session.get(nobody.server.url + path) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/html"
            assert "<title>Parley" in await answer.text()
            policy = answer.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy
            assert "require-trusted-types-for 'script'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "camera=(self)" in answer.headers["Permissions-Policy"]
            assert answer.headers["Cache-Control"] == "no-cache"


async def test_only_the_worker_of_effects_may_run_webassembly_and_nothing_else(people: People) -> None:
    nobody = people.nobody()
    for path, may in (("/assets/effects-worker-1.js", True), ("/assets/x-1.js", False)):
        async with nobody.session.get(nobody.server.url + path) as answer:
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
            assert ("'wasm-unsafe-eval'" in policy) is may
            assert (policy.startswith("default-src 'none'") and "'unsafe-" not in policy) or not may


async def test_files_revalidate(people: People) -> None:
    nobody = people.nobody()
    url = f"{nobody.server.url}/sdk/index.js"
    async with nobody.session.get(url) as answer:
        assert answer.content_type == "text/javascript"
        tag = answer.headers["ETag"]
    async with nobody.session.get(url, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("", None),
    ],
)
async def test_built_files_are_kept_for_good_in_the_best_coding(
    people: People, accepted: str, coding: str | None
) -> None:
    nobody = people.nobody()
    url = f"{nobody.server.url}/assets/x-1.js"
    asked = {"Accept-Encoding": accepted}
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(url, headers=asked) as answer:
        body = await answer.text()
    assert answer.headers.get("Content-Encoding") == coding
    assert {"br": ".br", "gzip": ".gz", None: "''"}[coding] in body
    assert answer.content_type == "text/javascript"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/__init__.py",
        "/missing.js",
        "/../data/session-secret",
        "/%2e%2e/data/session-secret",
        "/..%2fdata%2fsession-secret",
        "/sdk/..%5c..%5cdata",
        "/%00",
        "/api/v1/nothing",
        "/api/v1/meetings/%00/summary",
    ],
)
async def test_nothing_else_is_served(people: People, path: str) -> None:
    from yarl import URL

    nobody = people.nobody()
    async with nobody.session.get(URL(nobody.server.url + path, encoded=True)) as answer:
        body = await answer.text()
        assert answer.status in {400, 404} or "<title>Parley" in body


async def test_health_and_metrics(people: People) -> None:
    nobody = people.nobody()
    assert (await nobody.call("GET", "/health/live"))[0] == 200
    assert await nobody.call("GET", "/health/ready") == (200, {"status": "ok", "down": {}})
    async with nobody.session.get(f"{nobody.server.url}/metrics") as answer:
        assert answer.status == 200
        names = {line.split()[2] for line in (await answer.text()).splitlines() if line.startswith("# TYPE")}
    assert "parley_control_outbox_backlog" in names
    assert [name for name in names if not name.startswith(("parley_", "process_", "python_"))] == []
    async with nobody.session.get(f"{nobody.server.url}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
        assert answer.status == 404
