"""Video from the page in the meeting's codec."""

import pytest
from playwright.async_api import Page

from sfu.api import signaling
from sfu.api.join_token import Source
from tests.web.page_stage import SUMMARY, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_camera_is_offered_in_the_codec_of_the_meeting(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY | {"codec": "AV1"})
    await view.goto(f"{server.url}/m/m1")
    await view.get_by_label("Your name").fill("Ada")
    await view.locator("#join").click()
    session = await server.session()
    await session.welcome()
    offer = await session.next_of(signaling.Offer)
    assert [track.codec for track in offer.tracks if track.source is Source.CAMERA] == ["AV1"]
