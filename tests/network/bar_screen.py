"""Bars: a shared screen of 1920×1080, in Chromium, on a thin link of its viewer or of its publisher."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.network.bar_shared import queue_of
from tests.network.behind_link import MS, chromium_at, most_hold, once
from tests.sfu.server.harness import host
from tests.support import sdk_page
from tests.support.chromium import LOOPBACK_FLAG, secure_flag
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host

SETTLING, SECONDS = 18, 20
WIDE = LinkSettings(rate=3_000_000, delay=25 * MS)
SHARE = """
(async (scrolls) => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1920, height: 1080});
  const picture = canvas.getContext('2d');
  let tick = 0, page = 0, down = 0;
  const draw = () => {
    const height = scrolls ? 24 : 100;
    picture.fillStyle = '#fff';
    picture.fillRect(0, 0, 1920, 1080);
    picture.fillStyle = '#111';
    picture.font = `${scrolls ? 22 : 64}px serif`;
    for (let place = 0; place * height < 1080; place += 1) {
      const line = place + Math.floor(down / height);
      const word = (_, x) => ((x * 7919 + line * 104729 + page * 1299709) % 99991).toString(36);
      const words = Array.from({length: scrolls ? 24 : 6}, word);
      picture.fillText(words.join(' '), 30, 60 + place * height - (down % height));
    }
  };
  draw();
  setInterval(() => {
    tick += 1;
    if (scrolls && tick % 100 < 40) down += 6;  // two of five seconds
    if (!scrolls && tick % 100 === 0) page += 1;
    if (scrolls || tick % 100 === 0) draw();
    picture.fillStyle = tick % 20 < 10 ? '#f00' : '#00f';  // something always moves, like a cursor
    picture.fillRect(1880, 1040, 20, 20);
  }, 1000 / 15);
  await sdkPage.room.publish('screen', canvas.captureStream(15).getVideoTracks()[0]);
  return true;
})
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """At least `fps` pictures a second, in a jitter buffer of at most `waits` seconds; with a `camera` beside it, 18 of
    that, which has 20.
    """

    down: LinkSettings
    up: LinkSettings
    is_publisher: bool
    scrolls: bool
    fps: float
    waits: float
    camera: bool = False


BARS = {
    "pages, 500 kbps down": Bar(LinkSettings(delay=25 * MS, **queue_of(0.5, 300)), WIDE, False, False, 1.5, 1.5),
    "scrolls, 500 kbps down": Bar(LinkSettings(delay=25 * MS, **queue_of(0.5, 300)), WIDE, False, True, 1.5, 0.6),
    "scrolls, 1 Mbps up": Bar(WIDE, LinkSettings(delay=25 * MS, **queue_of(1, 300)), True, True, 6, 0.6),
    "scrolls beside a camera, 1 Mbps up": Bar(
        WIDE, LinkSettings(delay=25 * MS, **queue_of(1, 300)), True, True, 4, 0.6, camera=True
    ),
}


async def _pictures(page: sdk_page.Evaluates) -> list[dict[str, Any]]:
    """Return the streams of pictures, the largest picture first."""
    rows = [row for row in await sdk_page.streams(page) if row["kind"] == "video"]
    return sorted(rows, key=lambda row: -int(row.get("frameHeight", 0)))


def _frames(before: list[dict[str, Any]], after: dict[str, Any]) -> int:
    """Return how many pictures of a stream were decoded since `before`."""
    return int(after["framesDecoded"]) - sum(row["framesDecoded"] for row in before if row["id"] == after["id"])


async def _shared(tmp_path: Path, seed: int, name: str) -> bool:
    bar = BARS[name]
    with emulated_host(bar.down, bar.up, seed) as link:
        async with (
            host(tmp_path, addresses=("127.0.0.1", link.server_address), signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(link.server_address) as site,
            chromium_at(link.prefix, site, [secure_flag(site)], whole=True) as far,
            chromium_at([], site, [LOOPBACK_FLAG], whole=True) as near,
        ):
            ann, bob = (far, near) if bar.is_publisher else (near, far)
            for who, page in (("ann", ann), ("bob", bob)):
                url = h.signaling_url.replace("127.0.0.1", link.server_address) if page is far else h.signaling_url
                publish: dict[str, Any] = {"microphone": True, "camera": {}} if bar.camera and who == "ann" else {}
                await sdk_page.join_node(page, url, h.control.token("r", who), publish)
            await ann.evaluate(f"({SHARE})({str(bar.scrolls).lower()})")
            await asyncio.sleep(SETTLING)
            before, began = await _pictures(bob), time.monotonic()
            await asyncio.sleep(SECONDS)
            (screen, *cameras), seconds = await _pictures(bob), time.monotonic() - began
    fps = _frames(before, screen) / seconds
    fps_of_cameras = [_frames(before, camera) / seconds for camera in cameras]
    earlier: dict[str, Any] = next((row for row in before if row["id"] == screen["id"]), {})
    waits = sdk_page.buffered(earlier, screen)
    holds = fps >= bar.fps and waits <= bar.waits and (not bar.camera or max(fps_of_cameras, default=0.0) >= 18)
    print(
        f"{name}, seed {seed}: {fps:.1f} fps at {screen.get('frameHeight')} lines, buffer {waits * 1000:.0f} ms, "
        f"cameras {[round(each, 1) for each in fps_of_cameras]} fps: {'holds' if holds else 'missed'}"
    )
    return holds


@once
@pytest.mark.parametrize("name", list(BARS))
async def test_a_screen_on_a_thin_link(tmp_path: Path, name: str, seeds: range) -> None:
    assert await most_hold(lambda seed: _shared(tmp_path, seed, name), seeds)
