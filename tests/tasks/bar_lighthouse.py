"""Lighthouse's points for the first screens, on a first visit by a phone with a slow network: at least 95 of 100 each.

`make test-lighthouse` runs it and prints the figures. The machine should have nothing else to do.
"""

import asyncio
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

import web
from parley_client import Api
from tests.support.call import PASSWORD
from tests.support.chromium import FLAGS
from tests.support.server import running_server

LIGHTHOUSE = shlex.split(os.environ.get("LIGHTHOUSE", "npx --yes lighthouse@13.5.0"))
CATEGORIES = ("performance", "accessibility", "best-practices")
LEAST = 95
_SIGN_IN = """async (password) => {
  const body = JSON.stringify({username: 'ada', password});
  const headers = {'Content-Type': 'application/json'};
  const answer = await fetch('/api/v1/auth/login', {method: 'POST', headers, body});
  return answer.status;
}"""


async def _judged(url: str, port: int, report: Path) -> dict[str, int]:
    """Return Lighthouse's points by category, and print what cost some."""
    command = [*LIGHTHOUSE, url, f"--port={port}", f"--only-categories={','.join(CATEGORIES)}", "--output=json"]
    command += [f"--output-path={report}", "--quiet", "--max-wait-for-load=60000"]
    await asyncio.to_thread(subprocess.run, command, check=True)
    found: dict[str, Any] = json.loads(report.read_text())
    points = {name: round(100 * found["categories"][name]["score"]) for name in CATEGORIES}
    figures = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
    print(f"\n{url}: {points}, " + ", ".join(f"{one} {found['audits'][one]['displayValue']}" for one in figures))
    for name in CATEGORIES:
        for reference in found["categories"][name]["auditRefs"]:
            audit = found["audits"][reference["id"]]
            if reference["weight"] > 0 and audit["score"] is not None and audit["score"] < 0.9:
                print(f"  {name}: {audit['title']} {audit.get('displayValue', '')}")
                items = audit.get("details", {}).get("items", [])[:5]
                print("".join(f"    {json.dumps(item)[:300]}\n" for item in items), end="")
    return points


@pytest.mark.timeout(900)
async def test_the_first_screens_please_lighthouse(tmp_path: Path) -> None:
    await asyncio.to_thread(subprocess.run, ["sh", web.ROOT / "build.sh"], check=True)
    with running_server() as server:
        async with Api(server.url) as api, async_playwright() as playwright:
            await api.set_up(server.setup_token, "ada", PASSWORD)
            meeting = await api.create_meeting("Design review")
            context = await playwright.chromium.launch_persistent_context(
                tmp_path / "profile", executable_path="/usr/bin/chromium", args=[*FLAGS, "--remote-debugging-port=0"]
            )
            port = int((tmp_path / "profile" / "DevToolsActivePort").read_text().split()[0])
            low = {}
            try:
                page = context.pages[0]
                for name, path in (("welcome", "/"), ("pre-join", f"/m/{meeting}"), ("home", "/")):
                    if name == "home":
                        await page.goto(server.url)
                        assert await page.evaluate(_SIGN_IN, PASSWORD) == 200
                        await page.goto("about:blank")
                    points = await _judged(server.url + path, port, tmp_path / f"{name}.json")
                    low |= {f"{name}, {category}": value for category, value in points.items() if value < LEAST}
            finally:
                await context.close()
    assert not low
