"""Bars: a page behind a bad uplink, with camera, microphone and screen, as a whole server records it."""

import asyncio
import io
import itertools
import time
from dataclasses import dataclass
from typing import Any, Literal

import av
import pytest

from parley_client import Api
from tests.network.bar_screen import SHARE
from tests.network.bar_shared import queue_of
from tests.network.behind_link import MS, Browser, chromium_at, firefox_at, most_hold, once
from tests.recorder.test_with_a_whole_server import finished, stored_file
from tests.support import sdk_page
from tests.support.call import become_admin
from tests.support.chromium import LOOPBACK_FLAG
from tests.support.link_model import LinkSettings
from tests.support.server import running_server
from tests.support.tun_forwarder import emulated_host

SETTLING, SECONDS = 10, 40
DIP = (10, 30)
"""The seconds between which the uplink is narrow, in the situations in which it is so for a time."""


def _up(megabits: float, **changes: Any) -> LinkSettings:
    return LinkSettings(delay=25 * MS, **(queue_of(megabits, 300) | changes))


@dataclass(frozen=True, slots=True)
class Bar:
    """The uplink, another one in a `dip`, and the fewest pictures a second that the recording has from `since` seconds
    on. Of the camera, Chromium captures 20 and Firefox 30, of the screen 15.
    """

    up: LinkSettings
    camera: float
    screen: float
    dip: LinkSettings | None = None
    since: float = SETTLING


BARS: dict[tuple[str, Literal["chromium", "firefox"]], Bar] = {
    ("5 Mbps", "chromium"): Bar(_up(5), camera=18, screen=8),
    ("10 % loss", "chromium"): Bar(_up(5, loss=0.1), camera=15, screen=1.5),
    ("500 kbps", "chromium"): Bar(_up(0.5), camera=6, screen=0.3),
    ("5 Mbps, 20 s of 400 kbps", "chromium"): Bar(_up(5), camera=17, screen=2, dip=_up(0.4), since=36),
    ("5 Mbps", "firefox"): Bar(_up(5), camera=27, screen=1.5),
    ("500 kbps", "firefox"): Bar(_up(0.5), camera=22, screen=0.5),
    ("5 Mbps, 20 s of 400 kbps", "firefox"): Bar(_up(5), camera=25, screen=0.5, dip=_up(0.4), since=36),
}


class Files:
    """The times (s) of a recording's pictures and sound, and the number of packets that no decoder takes."""

    def __init__(self) -> None:
        self.shown: dict[str, list[float]] = {"camera": [], "screen": [], "microphone": []}
        self.broken = 0

    def read(self, source: str, start: float, data: bytes) -> None:
        with av.open(io.BytesIO(data)) as container:
            for packet in container.demux(container.streams[0]):
                try:
                    self.shown[source] += [start + frame.time for frame in packet.decode() if frame.time is not None]
                except av.error.InvalidDataError:
                    self.broken += 1

    def rate(self, source: str, since: float) -> float:
        """Return how many there are in a second."""
        times = [at for at in self.shown[source] if at >= since]
        return len(times) / (SECONDS + SETTLING - since)

    def longest_gap(self, source: str) -> float:
        return max((after - before for before, after in itertools.pairwise(sorted(self.shown[source]))), default=999.0)


async def _share(ann: Browser, bob: Browser, meeting: str) -> None:
    await sdk_page.join(bob, meeting, "Bob")
    await sdk_page.join(ann, meeting, "Ann", {"microphone": True, "camera": {}})
    for page in (ann, bob):
        await page.evaluate("(sdkPage.room.setConsent({text: '1', recording: true}), true)")
    await ann.evaluate(f"({SHARE})(true)")


async def _recorded(seed: int, name: str, browser: Literal["chromium", "firefox"]) -> bool:
    bar = BARS[name, browser]
    files = Files()
    with (
        emulated_host(LinkSettings(rate=10_000_000, delay=25 * MS), bar.up, seed) as link,
        running_server(sfu_addresses=f"127.0.0.1,{link.server_address}") as server,
    ):
        far = f"https://{link.server_address}:{server.https_port}/"
        page = (
            firefox_at(link.prefix, far)
            if browser == "firefox"
            else chromium_at(link.prefix, far, ["--ignore-certificate-errors"], whole=True)
        )
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Recorded")
            async with page as ann, chromium_at([], server.url, [LOOPBACK_FLAG], whole=True) as bob:
                await _share(ann, bob, meeting)
                recording = (await api.start_recording(meeting))["id"]
                began = time.monotonic()
                for second, settings in ((DIP[0], bar.dip), (DIP[1], bar.up)) if bar.dip else ():
                    await asyncio.sleep(began + second - time.monotonic())
                    link.change(up=settings)
                await asyncio.sleep(began + SETTLING + SECONDS - time.monotonic())
                await api.stop_recording(meeting)
            await finished(api, recording)
            manifest = await api.request("GET", f"/recordings/{recording}/manifest")
            for track in manifest["tracks"]:
                for file in track["files"]:
                    data = await stored_file(api, recording, file["key"])
                    files.read(track["source"], file["start_ms"] / 1000, data)
    camera, screen = files.rate("camera", bar.since), files.rate("screen", bar.since)
    silence = files.longest_gap("microphone")
    holds = camera >= bar.camera and screen >= bar.screen and silence <= 0.5 and not files.broken
    print(
        f"{name}, {browser}, seed {seed}: camera {camera:.1f} fps, screen {screen:.1f} fps, longest gap of sound "
        f"{silence:.2f} s, {files.broken} packets that no decoder takes: {'holds' if holds else 'missed'}"
    )
    return holds


@once
@pytest.mark.parametrize(("name", "browser"), list(BARS), ids=map(", ".join, BARS))
async def test_a_screen_shared_from_a_bad_uplink_is_recorded(
    name: str, browser: Literal["chromium", "firefox"], seeds: range
) -> None:
    assert await most_hold(lambda seed: _recorded(seed, name, browser), seeds)
