"""Bar: a client of LiveKit's joins at most 1.2 times as slowly as Parley's own, from the call to the first frame.

    .venv/bin/pytest -s tests/parley/bar_livekit_join.py

Both join the same meeting in the same Chromium, in turn, and watch the same camera.
"""

import asyncio
import json
import statistics

from aiohttp import web

from parley_client import Api, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.e2e.test_livekit_pages import package
from tests.support import sdk_page
from tests.support.call import become_admin, send
from tests.support.chromium import LOOPBACK_FLAG, Chromium, chromium, open_page
from tests.support.livekit_client import KEYS, access_token
from tests.support.livekit_page import PACKAGE
from tests.support.server import running_server

__all__ = ["package"]

RUNS = 10
MOST = 1.2
OURS = """
(async () => {
  const {sdk} = sdkPage, meeting = %s;
  const room = new sdk.Room({admit: sdk.admission(new sdk.Rest(), meeting, {name: 'Bob'})});
  const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true});
  document.body.append(video);
  const shown = new Promise((resolve) => video.requestVideoFrameCallback(() => resolve(performance.now())));
  room.addEventListener('track-media', ({detail}) => {
    if (detail.media === 'video' && detail.mediaTrack) video.srcObject = new MediaStream([detail.mediaTrack]);
  });
  const called = performance.now();
  await room.join();
  const at = await shown;
  room.leave();
  return at - called;
})()
"""
"""Without the socket that the page opens while one types a name, which LiveKit's client has not."""

THEIRS = """
(async () => {
  const room = new LivekitClient.Room(), video = Object.assign(document.createElement('video'), {muted: true});
  document.body.append(video);
  const shown = new Promise((resolve) => video.requestVideoFrameCallback(() => resolve(performance.now())));
  room.on('trackSubscribed', (track) => { if (track.kind === 'video') track.attach(video); });
  const called = performance.now();
  await room.connect(%s, %s);
  const at = await shown;
  await room.disconnect();
  return at - called;
})()
"""


async def _client(request: web.Request) -> web.StreamResponse:
    if request.path == "/":
        return web.Response(text='<!doctype html><body><script src="/client.js"></script>', content_type="text/html")
    return web.FileResponse(PACKAGE / "dist" / "livekit-client.umd.js")


async def test_a_livekit_client_joins_nearly_as_fast() -> None:
    runner = web.AppRunner(app := web.Application())
    app.router.add_get("/{file:.*}", _client)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    with running_server(livekit_keys=KEYS, inference="false") as server:
        async with Api(server.url) as admin, chromium(flags=(LOOPBACK_FLAG,)) as browser:
            await become_admin(admin, server.setup_token)
            meeting = await admin.create_meeting("Near")
            joined = await admin.join(meeting, "Ann")
            async with Room(admin.signaling_url(joined), token=joined.token) as ann:
                camera, microphone = await ann.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
                sending = asyncio.create_task(send(camera, microphone))
                for number in range(RUNS + 1):  # the first warms up
                    ours = await _ours(browser, server.url, meeting)
                    theirs = await _theirs(browser, site, server.url, meeting, f"bob {number}")
                    if number:
                        taken["ours"].append(ours)
                        taken["theirs"].append(theirs)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    await runner.cleanup()
    medians = {who: statistics.median(values) for who, values in taken.items()}
    print({who: sorted(map(round, values)) for who, values in taken.items()}, medians)
    assert medians["theirs"] <= MOST * medians["ours"]


async def _ours(browser: Chromium, url: str, meeting: str) -> float:
    page = await open_page(browser, url)
    await page.evaluate(sdk_page.SCRIPT)
    milliseconds = await page.evaluate(OURS % json.dumps(meeting))
    await page.context.close()
    return float(milliseconds)


async def _theirs(browser: Chromium, site: str, url: str, meeting: str, who: str) -> float:
    page = await open_page(browser, site)
    address = json.dumps(url.replace("http", "ws", 1))
    milliseconds = await page.evaluate(THEIRS % (address, json.dumps(access_token(who, meeting))))
    await page.context.close()
    return float(milliseconds)
