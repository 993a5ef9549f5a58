"""A meeting in real browsers: a poll, a question, a timer, a spotlight, a file, and a server that freezes."""

from playwright.async_api import expect

from tests.e2e.conftest import Deployment
from tests.e2e.test_breakouts import SIGN_IN
from tests.e2e.test_browsers_meet import join_by_page
from tests.support.call import PASSWORD
from tests.support.chromium import chromium, open_page

PATIENCE = 30_000


async def test_a_poll_a_file_and_a_frozen_server(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Together")
    hosts = deployment.network.hosts
    async with (
        chromium(hosts[0].prefix, small_camera=True) as adas,
        chromium(hosts[1].prefix, small_camera=True) as graces,
    ):
        host = await open_page(adas, f"{deployment.url_for(0)}/")
        assert await host.evaluate(SIGN_IN, PASSWORD) == 200
        await host.goto(f"{deployment.url_for(0)}/m/{meeting}")
        await join_by_page(host, "Ada")
        guest = await open_page(graces, f"{deployment.url_for(1)}/m/{meeting}")
        await join_by_page(guest, "Grace")

        await host.locator("[data-action=activities]").click()
        await host.get_by_text("New poll").click()
        await host.get_by_label("Question", exact=True).fill("Lunch?")
        await host.get_by_label("Choice 1").fill("Soup")
        await host.get_by_label("Choice 2").fill("Bread")
        await host.get_by_role("button", name="Start poll").click()
        await expect(guest.locator("[data-action=activities][data-count]")).to_be_visible(timeout=PATIENCE)
        await guest.locator("[data-action=activities]").click()
        await guest.get_by_role("button", name="Bread").click(timeout=PATIENCE)
        await expect(guest.locator(".poll-count")).to_have_text(["0 · 0%", "1 · 100%"], timeout=PATIENCE)
        await expect(host.locator(".poll-count")).to_have_text(["0 · 0%", "1 · 100%"], timeout=PATIENCE)
        await guest.get_by_label("Your question").fill("When?")
        await guest.get_by_role("button", name="Ask", exact=True).click()
        await expect(host.locator(".question")).to_contain_text("When?", timeout=PATIENCE)
        await host.get_by_role("button", name="5 min", exact=True).click()
        await expect(guest.locator(".call-timer")).to_contain_text("4:", timeout=PATIENCE)

        await host.locator("[data-action=people]").click()
        await host.get_by_role("button", name="More for Grace").click(timeout=PATIENCE)
        await host.get_by_role("button", name="Spotlight Grace for everybody").click()
        await expect(guest.locator(".stage .tile-self")).to_be_visible(timeout=PATIENCE)

        await host.locator("[data-action=chat]").click()
        plan = {"name": "plan.txt", "mimeType": "text/plain", "buffer": b"Lunch at one."}
        await host.locator(".compose input[type=file]").set_input_files([plan])  # type: ignore[list-item]
        await guest.locator("[data-action=chat]").click()
        await expect(guest.locator(".file")).to_contain_text("13 bytes", timeout=PATIENCE)
        async with guest.expect_download() as download:
            await guest.locator(".file").click()
        assert (await (await download.value).path()).read_text() == "Lunch at one."

        with deployment.server.stopped("sfu"):
            await expect(guest.locator(".banner-connection")).to_contain_text("is not responding", timeout=PATIENCE)
        await expect(guest.locator(".banner-connection")).to_be_hidden(timeout=PATIENCE)
