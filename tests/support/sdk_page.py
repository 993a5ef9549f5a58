"""The web SDK in a page of a running server, without the application, for tests of calls in browsers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web

from tests.support.chromium import WATCH_PEERS
from web import ROOT

SCRIPT = """
(async () => {
  if (window.sdkPage) return true;
  WATCH_PEERS
  const sdk = await import('/sdk/parley.js');
  const states = [], shown = new Map();
  const show = (track) => {
    if (track.media !== 'video') return;
    const video = shown.get(track.id) ?? Object.assign(document.createElement('video'), {muted: true, autoplay: true});
    if (!shown.has(track.id)) document.body.append(video);
    shown.set(track.id, video);
    video.srcObject = track.mediaTrack && new MediaStream([track.mediaTrack]);
  };
  const tone = () => {
    const context = new AudioContext(), source = new OscillatorNode(context);
    const output = context.createMediaStreamDestination();
    source.connect(output);
    source.start();
    return output.stream.getAudioTracks()[0];
  };
  const join = async ({meeting, name, url, token}, publish, options) => {
    const admit = token ? async () => ({url, token}) : sdk.admission(new sdk.Rest(), meeting, {name});
    const {passphrase, ...others} = options;
    const encryption = passphrase && sdk.Encryption.fromPassphrase(passphrase, meeting);
    const room = new sdk.Room({admit, encryption, ...others});
    room.addEventListener('track-media', ({detail}) => show(detail));
    room.addEventListener('track-changed', ({detail}) => states.push(
      {at: performance.now(), track: detail.id, paused: detail.paused, reason: detail.pausedReason}));
    room.addEventListener('problem', ({detail}) => states.push(detail));
    const output = new sdk.AudioOutput(room);
    if (publish.tone) await room.publish('microphone', tone());
    if (publish.microphone) await room.publish('microphone', await sdk.openMicrophone());
    if (publish.camera) await room.publish('camera', await sdk.openCamera(), publish.camera);
    await room.join();
    Object.assign(window.sdkPage, {room, output});
  };
  window.sdkPage = {sdk, join, states, shown};
  return true;
})()
""".replace("WATCH_PEERS", WATCH_PEERS)
"""Script that creates `sdkPage`: `join(admission, {microphone, tone, camera}, options)`; `room`, `shown`, `states`."""

STREAMS = """
(async (direction) => {
  const rows = [];
  for (const peer of window.watchedPeers) {
    if (peer.connectionState === 'closed') continue;
    // Of a peer that is closed meanwhile Firefox never tells.
    const all = await Promise.race([peer.getStats(), new Promise((resolve) => setTimeout(resolve, 500, []))]);
    all.forEach((r) => {
      if (r.type === direction) rows.push({...r, codec: all.get(r.codecId)?.mimeType ?? ''});
    });
  }
  return rows;
})
"""


class Evaluates(Protocol):
    """A page in either browser."""

    async def evaluate(self, expression: str) -> Any: ...


async def join(page: Evaluates, meeting: str, name: str, publish: dict[str, Any] | None = None, **options: Any) -> None:
    """Join from a page of the server; `publish` has `microphone` and `camera` (options of `Room.publish`)."""
    await _join(page, {"meeting": meeting, "name": name}, publish, options)


async def join_node(
    page: Evaluates, url: str, token: str, publish: dict[str, Any] | None = None, **options: Any
) -> None:
    """Join a node by a token, from a page of `sdk_site`. `tone` in `publish` is a microphone without a device."""
    await _join(page, {"url": url, "token": token}, publish, options)


async def _join(page: Evaluates, admission: dict[str, str], publish: dict[str, Any] | None, options: Any) -> None:
    await page.evaluate(SCRIPT)
    arguments = ", ".join(json.dumps(value) for value in (admission, publish or {}, options))
    await page.evaluate(f"sdkPage.join({arguments}).then(() => true)")


@asynccontextmanager
async def sdk_site(address: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve a blank page and the SDK at an address, for calls with a node without control; yield the URL."""
    app = web.Application()
    app.router.add_get("/", _blank)
    app.router.add_static("/sdk", ROOT / "sdk")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    try:
        yield f"http://{address}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _blank(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><meta charset=utf-8><body></body>", content_type="text/html")


def buffered(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return for how many seconds the jitter buffer held what it emitted between two looks at a stream, on average.

    `before` may be empty.
    """
    emitted = after["jitterBufferEmittedCount"] - before.get("jitterBufferEmittedCount", 0)
    return float((after["jitterBufferDelay"] - before.get("jitterBufferDelay", 0.0)) / max(emitted, 1))


async def streams(page: Evaluates, direction: str = "inbound-rtp") -> list[dict[str, Any]]:
    """Return the page's streams in a direction from getStats, each with its `codec`."""
    found: list[dict[str, Any]] = json.loads(await page.evaluate(f"{STREAMS}('{direction}').then(JSON.stringify)"))
    return found
