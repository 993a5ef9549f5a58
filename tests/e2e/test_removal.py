"""Removal in real browsers: a new tab stays out, a private window waits, and a host readmits people."""

from playwright.async_api import expect

from tests.e2e.conftest import Deployment
from tests.e2e.test_breakouts import SIGN_IN
from tests.e2e.test_browsers_meet import join_by_page
from tests.support.call import PASSWORD
from tests.support.chromium import chromium, open_page


async def test_a_removed_guest_stays_out_until_a_host_lets_it_back_in(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Open house")
    hosts = deployment.network.hosts
    async with (
        chromium(hosts[0].prefix, small_camera=True) as adas,
        chromium(hosts[1].prefix, small_camera=True) as graces,
    ):
        host = await open_page(adas, f"{deployment.url_for(0)}/")
        assert await host.evaluate(SIGN_IN, PASSWORD) == 200
        await host.goto(f"{deployment.url_for(0)}/m/{meeting}")
        await join_by_page(host, "Ada")
        link = f"{deployment.url_for(1)}/m/{meeting}"
        guest = await open_page(graces, link)
        await join_by_page(guest, "Grace")

        await host.locator("[data-action=people]").click()
        await host.get_by_role("button", name="More for Grace").click(timeout=30_000)
        await host.get_by_role("button", name="Remove Grace").click()
        await expect(host.get_by_role("dialog")).to_contain_text("They cannot rejoin until a host lets them back in")
        await host.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(guest.locator("[data-code=removed]")).to_be_visible(timeout=30_000)
        removed = host.get_by_role("region", name="Removed people")
        await expect(removed).to_contain_text("Grace", timeout=30_000)

        tab = await guest.context.new_page()
        await tab.goto(link)
        await tab.get_by_label("Your name").fill("Somebody else")
        await tab.locator("#join:not([disabled])").click()
        await expect(tab.get_by_role("alert").filter(has_text="removed")).to_be_visible(timeout=30_000)

        private = await open_page(graces, link)
        await private.get_by_label("Your name").fill("Private")
        await private.locator("#join:not([disabled])").click()
        await expect(private.locator(".banner-waiting")).to_be_visible(timeout=30_000)
        await host.get_by_role("button", name="Turn away Private").click(timeout=30_000)
        await expect(private.get_by_role("alert").filter(has_text="denied your request")).to_be_visible(timeout=30_000)

        await removed.get_by_role("button", name="Let back in Grace").click()
        await expect(removed).to_be_hidden(timeout=30_000)
        await tab.locator("#join:not([disabled])").click()
        await expect(host.get_by_role("button", name="More for Somebody else")).to_be_visible(timeout=30_000)
