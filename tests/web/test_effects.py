"""Effects on the camera: another background, drawn in a worker, and the message if that does not work."""

import pytest
from playwright.async_api import Page, expect

from tests.web.page_stage import view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
# The colour above the centre of the sent picture; the test camera is green there.
COLOUR = """
async () => {
  const video = document.querySelector('.preview video');
  const canvas = new OffscreenCanvas(3, 9);
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 3, 9);
  return [...context.getImageData(1, 2, 1, 1).data].slice(0, 3);
}
"""


async def test_another_background_is_drawn_kept_and_given_up_where_it_fails(view: Page, server: ScriptedServer) -> None:
    async def shows(name: str) -> None:
        await expect(view.locator(".preview video")).to_be_visible()
        for _ in range(300):
            red, green, blue = await view.evaluate(COLOUR)
            if (blue > green) == (name == "dusk") and max(red, green, blue) > 0:
                return
            await view.wait_for_timeout(50)
        raise AssertionError(f"{name} is not shown: {red, green, blue}")

    await view.goto(f"{server.url}/m/m1")
    await shows("camera")
    await view.get_by_role("button", name="Background and effects").click()
    await view.get_by_text("Dusk").click()
    await shows("dusk")
    await expect(view.locator(".effects-preview [role=status]")).to_be_empty()
    await view.reload()
    await shows("dusk")
    await view.get_by_role("button", name="Background and effects").click()
    await view.locator("label", has_text="None").click()
    await shows("camera")
    # The model is unavailable: the camera continues without it, and the user is notified.
    await view.route("**/segmenter*.tflite", lambda route: route.abort())
    await view.locator("label", has_text="Slight blur").click()
    await expect(view.locator(".effects-preview [role=status]")).to_contain_text("do not work in this browser")
    await expect(view.locator("input[name=background][value='']")).to_be_checked()
    await shows("camera")
