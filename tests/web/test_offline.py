"""The installed page: Chromium offers to install it; without a server it shows the cause and reconnects."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

import web
from tests.support.chromium import WHOLE
from tests.web.conftest import launched, open_page
from tests.web.page_stage import MEETING, USER
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTROLLED = "() => navigator.serviceWorker.ready.then(() => Boolean(navigator.serviceWorker.controller))"

# The browser's network state, which its emulation of a lost network does not change.
ONLINE = "Object.defineProperty(navigator, 'onLine', {get: () => sessionStorage.cut !== 'yes'})"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """The whole browser: its shell installs nothing."""
    async with launched(WHOLE) as browser:
        yield browser


async def test_it_can_be_installed_and_tells_what_is_wrong_without_a_server(
    chromium: Browser, server: ScriptedServer, tmp_path: Path
) -> None:
    shutil.copytree(web.ROOT, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules", "built"))
    server.root = tmp_path / "web"
    async with open_page(chromium, service_workers="allow") as page:
        await page.add_init_script(ONLINE)
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        await page.goto(f"{server.url}/recordings")
        await page.wait_for_function(CONTROLLED)
        await _can_be_installed(page)

        await page.context.set_offline(True)
        await page.evaluate("sessionStorage.cut = 'yes'")
        await page.reload()
        await expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
        button = page.get_by_role("button", name="Try again")
        assert await button.evaluate("(it) => getComputedStyle(it).backgroundColor") != "rgba(0, 0, 0, 0)"  # has styles
        server.away = True
        await page.context.set_offline(False)
        await page.evaluate("sessionStorage.cut = 'no'")
        await page.reload()
        await expect(page.get_by_role("heading", name="The server does not respond")).to_be_visible()
        await expect(page.locator(".host").first).to_contain_text("localhost")
        server.away = False
        await expect(page.locator(".welcome")).to_be_visible()  # automatically, at the same address
        assert page.url.endswith("/?next=/recordings")

        # A new release: its page at once, and its worker in place of the old one.
        worker, offline = server.root / "service-worker.js", server.root / "app" / "install" / "offline.html"
        worker.write_text(worker.read_text().replace("= 'sources'", "= 'next'"))
        offline.write_text(offline.read_text().replace("You are offline", "No network at all"))
        index = server.root / "index.html"
        index.write_text(index.read_text().replace("<title>Parley", "<title>Parley next"))
        (server.root / "app" / "main.js").write_text("")  # it would set the title
        await page.evaluate("navigator.serviceWorker.ready.then((found) => found.update())")
        await page.wait_for_function("async () => (await caches.keys()).join() === 'offline-next'")
        response = await page.reload()
        assert response is not None and "<title>Parley next" in await response.text()
        await page.context.set_offline(True)
        await page.evaluate("sessionStorage.cut = 'yes'")
        await page.reload()
        await expect(page.get_by_role("heading", name="No network at all")).to_be_visible()
        kept = await page.evaluate(
            "async () => (await (await caches.open('offline-next')).keys()).map(({url}) => new URL(url).pathname)"
        )
        assert len(kept) == 5 and not [path for path in kept if path.startswith("/api")]
        assert not complaints, complaints


async def _can_be_installed(page: Page) -> None:
    devtools = await page.context.new_cdp_session(page)
    manifest = await devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    errors = (await devtools.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    # Test contexts are incognito, so nothing can be installed there.
    assert [error["errorId"] for error in errors] == ["in-incognito"]


async def test_a_shared_invitation_leads_to_its_meeting(chromium: Browser, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, MEETING | {"passcode_required": False})
    async with open_page(chromium) as page:
        text = quote(f"Join us: {server.url.replace('localhost', 'elsewhere')}/m/m2 or {server.url}/m/m1")
        await page.goto(f"{server.url}/?shared={text}")
        await expect(page.get_by_label("Your name")).to_be_visible()
        assert page.url == f"{server.url}/m/m1"
        await page.goto(f"{server.url}/?shared=hello")
        await expect(page.get_by_text("no link to a meeting")).to_be_visible()


async def test_the_shortcut_starts_one_meeting(chromium: Browser, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["POST", "/meetings"] = (201, MEETING)
    async with open_page(chromium) as page:
        await page.goto(f"{server.url}/?meet=now")
        await expect(page).to_have_url(f"{server.url}/m/m1")
        await page.go_back()
        await expect(page).to_have_url(f"{server.url}/")
    assert len([path for method, path, _ in server.requests if (method, path) == ("POST", "/meetings")]) == 1
