"""The test of the network before a call, in real browsers: figures, a verdict, and the way that media takes."""

from typing import Any

from playwright.async_api import expect

from tests.e2e.conftest import Deployment
from tests.e2e.test_without_udp import without_udp
from tests.support.bidi import firefox
from tests.support.chromium import chromium, open_page

FIGURES = (
    "Object.fromEntries([...document.querySelectorAll('[data-figure]')].map((e) => [e.dataset.figure, e.textContent]))"
)


def seen(figures: dict[str, Any], way: str) -> None:
    """Check that media came back: what a loaded machine reaches in eight seconds is not promised."""
    assert figures["way"] == way
    assert "bit/s" in figures["up"] and "bit/s" in figures["down"], figures
    assert not figures["up"].startswith("0 ") and not figures["down"].startswith("0 "), figures
    assert figures["round-trip"].endswith("ms"), figures


async def test_chromium_tests_its_network_before_joining(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Later")
    async with chromium(deployment.network.hosts[0].prefix) as browser:
        page = await open_page(browser, f"{deployment.url_for(0)}/m/{meeting}")
        await page.locator("[data-action=network]").click()
        await expect(page.locator(".network-verdict[data-grade]:not([data-grade=none])")).to_be_visible(timeout=60_000)
        await page.locator(".network-test summary").click()
        seen(await page.evaluate(FIGURES), "UDP, directly")
        with without_udp(deployment.network, 0):
            await page.get_by_role("button", name="Test again").click()
            await expect(page.locator("[data-figure=way]")).to_have_text("TCP", timeout=90_000)
        # Nothing of it is a meeting, and the one meeting was not joined.
        stats = await deployment.admin.rest.get_statistics()
        assert (stats["active_meetings"], stats["participants_present"]) == (0, 0)


async def test_firefox_tests_its_network_before_joining(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Later")
    async with firefox(prefix=deployment.network.hosts[1].prefix) as browser:
        await browser.navigate(f"{deployment.url_for(1)}/m/{meeting}")
        await browser.until("document.querySelector('[data-action=network]') !== null")
        await browser.evaluate("document.querySelector('[data-action=network]').click()")
        await browser.until("document.querySelector('.network-verdict') !== null", 60)
        seen(await browser.evaluate(FIGURES), "UDP, directly")
