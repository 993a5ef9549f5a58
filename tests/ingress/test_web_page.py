"""A web page as a stream: a real browser opens it, and what it shows and plays is captured from start to end."""

import contextlib
import io
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import web

from foundation.media_units import Unit
from ingress import web_page
from ingress.stream import Failed
from sfu.api.ingress import PageView, UrlOrder
from tests.support.chromium import WHOLE

VIEW = PageView(width=640, height=360, announces_start=True)
PAGE = """<!doctype html><body style="margin:0;background:#f80">
<p id=clock></p><script>
setInterval(() => { clock.textContent = innerWidth + 'x' + innerHeight + ' ' + performance.now(); }, 30);
const sound = new AudioContext(), tone = sound.createOscillator();
tone.connect(sound.destination); tone.start();
alert('nobody answers');
window.open('/other');
setTimeout(() => console.log('START_RECORDING'), 500);
setTimeout(() => console.log('END_RECORDING'), 3500);
</script>"""


@contextlib.asynccontextmanager
async def served(**pages: str) -> AsyncIterator[str]:
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=pages[request.match_info["name"]], content_type="text/html")

    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def order(url: str, view: PageView = VIEW, *, private: bool = True) -> UrlOrder:
    return UrlOrder(stream="page", url=url, private=private, page=view)


async def test_a_page_is_captured_from_its_start_to_its_end() -> None:
    content = io.BytesIO()

    def put(unit: Unit) -> None:
        content.write(unit.data)

    stream: Any = SimpleNamespace(put=put)
    async with served(page=PAGE, other="") as site, web_page.opened(order(f"{site}/page"), WHOLE) as page:
        await page.feed(stream)
    content.seek(0)
    with av.open(content, format=web_page.FORM) as media:
        pictures, sounds = [], []
        for frame in media.decode():
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame)
            elif isinstance(frame, av.AudioFrame):
                sounds.append(frame.to_ndarray()[0])
    assert (pictures[0].width, pictures[0].height) == (640, 360)
    orange = pictures[-1].to_ndarray(format="rgb24")[300, 300]
    assert np.abs(orange.astype(int) - (255, 136, 0)).max() < 40
    assert len(pictures) > 10
    assert np.abs(np.concatenate(sounds)).max() > 0.5
    assert pictures[-1].time is not None
    assert 1.5 < pictures[-1].time < 10


async def test_pages_that_cannot_be_shown_say_why() -> None:
    quiet = PageView(width=320, height=180)
    async with served(page="<title>x</title>") as site:
        for wish, why in (
            (order(f"{site}/page", quiet, private=False), "not on the public internet"),
            (order("http://127.0.0.1:1/", quiet), "cannot be opened"),
        ):
            with pytest.raises(Failed, match=why):
                async with web_page.opened(wish, WHOLE):
                    pass
        with pytest.raises(Failed, match="has ended"):
            async with web_page.opened(order(f"{site}/page", quiet), "/bin/true"):
                pass
        with pytest.raises(Failed, match="crashed"):
            async with web_page.opened(order(f"{site}/page", quiet), WHOLE) as page:
                page._devtools.tell("Page.crash", page._tabs.stage)
                await page.feed(SimpleNamespace(put=lambda _: None))
