"""The bundled page: made from the current sources, with few requests, and the same under the same policy."""

import itertools
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

import web
from tests.web.conftest import open_page
from tests.web.page_stage import GRACE, SUMMARY
from tests.web.scripted import ScriptedServer, scripted_server

MOST_REQUESTS = 6


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "built"
    subprocess.run(["sh", web.ROOT / "build.sh", out], check=True, capture_output=True)
    return out


@pytest_asyncio.fixture(loop_scope="module")
async def bundled(built: Path) -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        server.root = built
        yield server


def test_it_is_served_only_while_it_is_that_of_the_sources(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BUILT", built)
    assert web.root() == built
    (built / "build.json").write_text('{"sources": "of yesterday"}')
    assert web.root() == web.ROOT
    (built / "build.json").unlink()
    assert web.root() == web.ROOT
    monkeypatch.setattr(web, "ROOT", built.parent)  # an installation without sources
    assert web.root() == built


@pytest.mark.asyncio(loop_scope="module")
async def test_few_requests_lead_to_a_call(chromium: Browser, bundled: ScriptedServer) -> None:
    bundled.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    async with open_page(chromium) as page:
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        await page.goto(f"{bundled.url}/")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        screen = [path for path in bundled.files if not path.endswith(".svg")]
        assert len(screen) <= MOST_REQUESTS, screen
        bundled.files.clear()
        await page.goto(f"{bundled.url}/m/m1")
        await page.get_by_label("Your name").fill("Ada")
        # The call's modules and texts are requested once the first screen is shown.
        shown = itertools.takewhile(lambda path: "/call-" not in path, bundled.files)
        screen = [path for path in shown if not path.endswith(".svg")]
        later = [path for path in screen if "/en-" in path][1:]
        assert len(screen) - len(later) <= MOST_REQUESTS, screen
        await page.locator("#join").click()
        await (await bundled.session()).welcome(participants=[GRACE])
        await expect(page.locator("[data-id=p2]")).to_be_visible()
        assert not complaints, complaints


def test_every_file_is_there_in_both_codings(built: Path) -> None:
    scripts = list((built / "assets").glob("*.js"))
    assert scripts
    for script in scripts:
        plain, brotli = script.stat().st_size, script.with_name(f"{script.name}.br")
        # Incompressible files are sent unchanged.
        assert not brotli.exists() or brotli.stat().st_size < plain
        assert brotli.exists() == script.with_name(f"{script.name}.gz").exists()
