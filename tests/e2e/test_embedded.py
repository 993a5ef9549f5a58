"""A meeting in a frame of another site's page: the example of the documentation."""

from pathlib import Path

from playwright.async_api import Page, expect

from parley_client import Room
from sfu.api.join_token import Source
from tests.e2e.conftest import Deployment
from tests.support.chromium import chromium

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "embed.html"
ORIGIN = "https://app.example"
# The page has no network address, so Chromium treats it as public, and would block its access to a private network.
FLAGS = ["--disable-features=LocalNetworkAccessChecks"]


async def shown_in(page: Page, origin: str, server: str, address: str) -> None:
    """Serve the example as a page of an origin by intercepting requests, without name resolution."""
    text = EXAMPLE.read_text().replace("SERVER", server).replace("'ADDRESS'", repr(address))
    await page.route(f"{origin}/**", lambda route: route.fulfill(body=text, content_type="text/html"))
    await page.goto(f"{origin}/")


async def test_a_page_of_another_site_shows_a_meeting_and_controls_it(deployment: Deployment) -> None:
    admin = deployment.admin
    meeting = await admin.create_meeting("Consultation", guests=False)
    joined = await admin.join(meeting)
    admission = await admin.admit(meeting, "user-7", "Grace")
    url = deployment.url_for(1)
    address = f"{url}/m/{meeting}#{admission.page_url.partition('#')[2]}"
    async with (
        Room(admin.signaling_url(joined), token=joined.token, verify_tls=False) as host,
        chromium(deployment.network.hosts[1].prefix, FLAGS) as browser,
    ):
        context = await browser.browser.new_context(ignore_https_errors=True, permissions=["camera", "microphone"])
        page = await context.new_page()

        # Pages of other origins cannot show it.
        await shown_in(page, "https://other.example", url, address)
        await page.wait_for_function("() => document.querySelector('iframe') !== null")
        frame = await (await page.wait_for_selector("iframe")).content_frame()
        assert frame is not None
        await frame.wait_for_url("chrome-error://**")

        # Admitted by the token: no account, no name, no form.
        await shown_in(page, ORIGIN, url, address)
        events = page.locator("#events")
        await expect(events).to_contain_text('joined {"participant":', timeout=30_000)
        await expect(events).to_contain_text('"name":"Grace"')
        frame = next(one for one in page.frames if one.url.startswith(url))
        assert "token" not in frame.url

        def muted(source: Source) -> list[bool]:
            return [track.muted for track in host.state.tracks.values() if track.source is source]

        await host.until(lambda: muted(Source.MICROPHONE) == [False] and muted(Source.CAMERA) == [False])
        assert [one.name for one in host.state.participants.values() if one.identity] == ["Grace"]
        await page.locator("#microphone").click()
        await host.until(lambda: muted(Source.MICROPHONE) == [True])
        await expect(events).to_contain_text('microphone {"on":false}')
        await page.locator("#layout").click()
        await expect(events).to_contain_text('layout {"layout":"speaker"}')
        assert await frame.locator(".bar-button[data-action=record], .bar-button[data-action=board]").count() == 0

        await page.locator("#leave").click()
        await expect(events).to_contain_text('left {"code":"left"')
        await host.until(lambda: muted(Source.MICROPHONE) == [])
