"""A meeting that mutes on entry: a guest's page starts muted, the others see it, and the guest can unmute."""

from playwright.async_api import expect

from parley_client import Room
from sfu.api.join_token import Source
from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import chromium_guest


async def test_a_guest_starts_muted_and_unmutes(deployment: Deployment) -> None:
    admin = deployment.admin
    meeting = await admin.create_meeting("Quiet", mute_on_entry=True)
    joined = await admin.join(meeting)
    async with (
        Room(admin.signaling_url(joined), token=joined.token, verify_tls=False) as host,
        chromium_guest(deployment, 1, meeting, "Grace") as grace,
    ):

        def muted() -> list[bool]:
            return [track.muted for track in host.state.tracks.values() if track.source is Source.MICROPHONE]

        await host.until(lambda: muted() == [True])
        await expect(grace.get_by_text("You joined muted.")).to_be_visible()
        await grace.locator("[data-action=microphone]").click()
        await host.until(lambda: muted() == [False])
