"""Bars: LiveKit's own client, in Chromium, behind a bad link."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from parley_client import Api
from tests.e2e.test_livekit_pages import package
from tests.network.bar_shared import queue_of
from tests.network.behind_link import MS, Browser, chromium_at, most_hold, once
from tests.support import livekit_page
from tests.support.call import become_admin
from tests.support.chromium import LOOPBACK_FLAG
from tests.support.link_model import LinkSettings
from tests.support.livekit_client import KEYS, access_token
from tests.support.server import running_server
from tests.support.tun_forwarder import EmulatedHost, emulated_host

__all__ = ["package"]

SETTLING, SECONDS = 10, 30
MOST_CONCEALED = 0.006
MOST_AWAY = 10.0
"""The seconds without pictures after a change of address: the client notices it after `names.PING_TIMEOUT_SECONDS`."""

INBOUND = """
(async () => {
  const rows = {};
  for (const name of ['Microphone', 'Camera'])
    (await of(name)?.track?.getRTCStatsReport())?.forEach((row) => {
      if (row.type === 'inbound-rtp') rows[name] = row;
    });
  return JSON.stringify(rows);
})()
"""


@dataclass(frozen=True, slots=True)
class Call:
    """Ann behind the link and Bob beside the server, both with LiveKit's client, camera and microphone."""

    link: EmulatedHost
    ann: Browser
    bob: Browser


async def _inbound(page: Browser) -> dict[str, Any]:
    """Return the statistics of the other's microphone and camera."""
    found: dict[str, Any] = json.loads(await page.evaluate(INBOUND))
    return found


@contextlib.asynccontextmanager
async def _call(down: LinkSettings, up: LinkSettings, seed: int) -> AsyncIterator[Call]:
    with (
        emulated_host(down, up, seed) as link,
        running_server(
            sfu_addresses=f"127.0.0.1,{link.server_address}", livekit_keys=KEYS, inference="false"
        ) as server,
    ):
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Far")
        far, near = f"wss://{link.server_address}:{server.https_port}", server.url.replace("http", "ws").rstrip("/")
        async with (
            livekit_page.site(link.name) as far_site,
            livekit_page.site() as near_site,
            chromium_at(link.prefix, far_site, ["--ignore-certificate-errors"], whole=True) as ann,
            chromium_at([], near_site, [LOOPBACK_FLAG], whole=True) as bob,
        ):
            for who, page, url in (("bob", bob, near), ("ann", ann, far)):
                await page.evaluate(f"join({json.dumps(url)}, {json.dumps(access_token(who, meeting))})")
                await page.evaluate("me().enableCameraAndMicrophone().then(() => true)")
            yield Call(link, ann, bob)


async def _concealed(seed: int) -> bool:
    """Lose 5 % both ways."""
    link = LinkSettings(delay=25 * MS, loss=0.05, **queue_of(5, 300))
    async with _call(link, link, seed) as call:
        await asyncio.sleep(SETTLING)
        before = [(await _inbound(page))["Microphone"] for page in (call.ann, call.bob)]
        await asyncio.sleep(SECONDS)
        after = [(await _inbound(page))["Microphone"] for page in (call.ann, call.bob)]
    shares = [
        (_heard_wrongly(later) - _heard_wrongly(earlier))
        / (later["totalSamplesReceived"] - earlier["totalSamplesReceived"])
        for earlier, later in zip(before, after, strict=True)
    ]
    holds = max(shares) <= MOST_CONCEALED
    print(
        f"5 % loss, seed {seed}: concealed {shares[0]:.2%} down, {shares[1]:.2%} up: {'holds' if holds else 'missed'}"
    )
    return holds


def _heard_wrongly(row: dict[str, Any]) -> int:
    return int(row["concealedSamples"] - row["silentConcealedSamples"])


async def _moved(seed: int) -> bool:
    """Change the address."""
    link = LinkSettings(delay=25 * MS, **queue_of(5, 300))
    async with _call(link, link, seed) as call:
        await asyncio.sleep(SETTLING)
        call.link.move()
        moved = time.monotonic()
        await asyncio.sleep(0.5)  # what was under way is there
        taken = [await _seconds_until_moving(page, moved) for page in (call.ann, call.bob)]
    holds = max(taken) <= MOST_AWAY
    print(
        f"moved, seed {seed}: pictures after {taken[0]:.1f} s, of it after {taken[1]:.1f} s: "
        f"{'holds' if holds else 'missed'}"
    )
    return holds


async def _seconds_until_moving(page: Browser, since: float) -> float:
    """Return the time (s) since then at which the other's picture moves."""
    before = (await _inbound(page))["Camera"]["framesDecoded"]
    while time.monotonic() - since < 4 * MOST_AWAY:
        now = (await _inbound(page)).get("Camera", {}).get("framesDecoded", 0)
        before = min(before, now)
        if now >= before + 3:
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - since


@once
async def test_lost_sound_is_repaired(seeds: range) -> None:
    assert await most_hold(_concealed, seeds)


@once
async def test_a_client_whose_address_changed_is_back(seeds: range) -> None:
    assert await most_hold(_moved, seeds)
