"""Bar: at a round trip of 100 ms, a join over WebTransport shows its first frame one round trip earlier."""

import asyncio
import statistics

from parley_client import Api, Room
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.network.behind_link import MS, once
from tests.support import sdk_page
from tests.support.call import become_admin, send
from tests.support.chromium import FULL_RATE, chromium, open_page
from tests.support.link_model import LinkSettings
from tests.support.server import running_server
from tests.support.tun_forwarder import emulated_host

RUNS = 5
HALF = LinkSettings(delay=50 * MS)
ROUND_TRIP_MS = 100
WITHOUT = "void (globalThis.WebTransport = undefined)"
FIRST_FRAME = """
(async () => {
  const {sdk} = sdkPage, rest = new sdk.Rest();
  const {webtransport: door} = await rest.meeting(%r);
  const early = sdk.EarlySocket.open(door);  // as the page does that asks for a name
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const room = new sdk.Room({admit: sdk.admission(rest, %r, {name: 'Bob'}), signaling: {door, early}});
  const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true});
  document.body.append(video);
  const shown = new Promise((resolve) => video.requestVideoFrameCallback(() => resolve(performance.now())));
  room.addEventListener('track-media', ({detail}) => {
    if (detail.media === 'video' && detail.mediaTrack) video.srcObject = new MediaStream([detail.mediaTrack]);
  });
  const clicked = performance.now();
  await room.join();
  const at = await shown;
  const {carrier} = room;
  room.leave();
  return [at - clicked, carrier];
})()
"""


@once
async def test_webtransport_is_a_round_trip_sooner() -> None:
    taken: dict[str, list[float]] = {"webtransport": [], "websocket": []}
    with (
        emulated_host(HALF, HALF, 1) as link,
        running_server(sfu_addresses=f"127.0.0.1,{link.server_address}", http_host="0.0.0.0") as server,
    ):
        async with Api(f"https://127.0.0.1:{server.https_port}", verify_tls=False) as admin:
            await become_admin(admin, server.setup_token)
            meeting = await admin.create_meeting("Far")
            joined = await admin.join(meeting, "Ann")
            async with Room(admin.signaling_url(joined), token=joined.token, verify_tls=False) as ann:
                camera, microphone = await ann.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
                sending = asyncio.create_task(send(camera, microphone))
                url = f"https://{link.server_address}:{server.https_port}"
                async with chromium(link.prefix, [FULL_RATE]) as browser:
                    for number in range(2 * RUNS):
                        carrier = ("webtransport", "websocket")[number % 2]
                        page = await open_page(browser, url)
                        if carrier == "websocket":
                            await page.evaluate(WITHOUT)
                        await page.evaluate(sdk_page.SCRIPT)
                        milliseconds, used = await page.evaluate(FIRST_FRAME % (meeting, meeting))
                        assert used == carrier
                        taken[carrier].append(milliseconds)
                        await page.context.close()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    medians = {carrier: statistics.median(values) for carrier, values in taken.items()}
    print({carrier: sorted(map(round, values)) for carrier, values in taken.items()}, medians)
    assert medians["websocket"] - medians["webtransport"] >= ROUND_TRIP_MS
