"""The web SDK in a page of a running server's, without the application: what tests of calls in browsers drive."""

import json
from typing import Any, Protocol

from tests.support.chromium import WATCH_PEERS

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
  const join = async (meeting, name, publish, options) => {
    const room = new sdk.Room({admit: sdk.admission(new sdk.Rest(), meeting, {name}), ...options});
    room.addEventListener('track-media', ({detail}) => show(detail));
    room.addEventListener('track-changed', ({detail}) => states.push(
      {at: performance.now(), track: detail.id, paused: detail.paused, reason: detail.pausedReason}));
    room.addEventListener('problem', ({detail}) => states.push(detail));
    const output = new sdk.AudioOutput(room);
    if (publish.microphone) await room.publish('microphone', await sdk.openMicrophone());
    if (publish.camera) await room.publish('camera', await sdk.openCamera(), publish.camera);
    await room.join();
    Object.assign(window.sdkPage, {room, output});
  };
  window.sdkPage = {sdk, join, states, shown};
  return true;
})()
""".replace("WATCH_PEERS", WATCH_PEERS)
"""Makes `sdkPage`: `join(meeting, name, {microphone, camera}, options)`, then `room`, `shown` videos and `states`."""

STREAMS = """
(async (direction) => {
  const rows = [];
  for (const peer of window.watchedPeers) {
    if (peer.connectionState === 'closed') continue;
    const all = await peer.getStats();
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
    """Join from a page of the server's; `publish` has `microphone` and `camera` (options of `Room.publish`)."""
    await page.evaluate(SCRIPT)
    arguments = ", ".join(json.dumps(value) for value in (meeting, name, publish or {}, options))
    await page.evaluate(f"sdkPage.join({arguments}).then(() => true)")


async def streams(page: Evaluates, direction: str = "inbound-rtp") -> list[dict[str, Any]]:
    """The page's streams of a direction as getStats tells them, each with its `codec`."""
    found: list[dict[str, Any]] = json.loads(await page.evaluate(f"{STREAMS}('{direction}').then(JSON.stringify)"))
    return found
