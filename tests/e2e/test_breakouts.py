"""Breakout rooms in real browsers: a host opens them, assigned people are moved without a click, all return."""

from playwright.async_api import Page, expect

from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import chromium_guest, join_by_page, of_chromium, until_media
from tests.support.call import PASSWORD
from tests.support.chromium import chromium, open_page

SIGN_IN = """async (password) => {
  const answer = await fetch('/api/v1/auth/login', {method: 'POST', headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({username: 'admin', password})});
  return answer.status;
}"""


async def media_passes(*pages: Page) -> None:
    """Every page decodes one other's picture, and hears it."""
    for page in pages:
        await until_media(of_chromium(page), videos=1, frames=10, audio=20, seconds=45)


async def test_two_browsers_go_to_a_breakout_room_and_come_back(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Workshop")
    async with (
        chromium(deployment.network.hosts[0].prefix, small_camera=True) as browser,
        chromium_guest(deployment, 1, meeting, "Grace") as grace,
    ):
        host = await open_page(browser, f"{deployment.url_for(0)}/")
        assert await host.evaluate(SIGN_IN, PASSWORD) == 200
        await host.goto(f"{deployment.url_for(0)}/m/{meeting}")
        await join_by_page(host, "Ada")
        await media_passes(host, grace)

        await host.locator("[data-action=people]").click()
        panel = host.locator(".breakouts")
        await panel.locator("input[name=breakouts]").fill("1")
        await panel.get_by_role("button", name="Create rooms").click()
        await panel.locator("[data-breakouts=open]").click()
        # Grace is moved there without a click; the host's page follows automatically.
        await expect(grace.locator(".call-title")).to_have_text("Room 1 · Workshop", timeout=30_000)
        await panel.locator("[data-breakouts=enter]").click()
        await expect(host.locator(".call-title")).to_have_text("Room 1 · Workshop", timeout=30_000)
        await expect(host.locator(".tile")).to_have_count(2, timeout=30_000)
        await media_passes(host, grace)

        await panel.locator("input[name=announcement]").fill("Two minutes left")
        await panel.get_by_role("button", name="Send").click()
        await expect(grace.locator(".banner-message")).to_contain_text("Two minutes left", timeout=30_000)

        await deployment.admin.request("POST", f"/meetings/{meeting}/breakouts/close", {"countdown_seconds": 3})
        await expect(grace.locator(".banner-breakout")).to_contain_text("closes in", timeout=30_000)
        for page in (host, grace):
            await expect(page.locator(".call-title")).to_have_text("Workshop", timeout=30_000)
        await expect(host.locator(".tile")).to_have_count(2, timeout=30_000)
        await media_passes(host, grace)
