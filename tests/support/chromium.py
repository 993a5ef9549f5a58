"""Debian's Chromium under Playwright, optionally inside a namespace, with a window on its peer connections."""

import contextlib
import json
import os
import shlex
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, Page, async_playwright, expect

WHOLE = "/usr/bin/chromium"
HEADLESS_SHELL = "/usr/lib/chromium/chromium-headless-shell"
"""Chromium without its windows and profiles, of the same package: the same engine, and half of the work in a call."""

expect.set_options(timeout=30_000)  # enough for a busy machine
FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream=fps=10",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--auto-select-desktop-capture-source=Entire screen",
    "--autoplay-policy=no-user-gesture-required",
)
FULL_RATE = "--use-fake-device-for-media-stream=fps=20"
"""A camera of 20 pictures a second, for where rates or costs are measured."""
LOOPBACK_FLAG = "--allow-loopback-in-peer-connection"
_WIDTH, _HEIGHT, _RATE = 320, 180, 10  # of the small camera

WATCH_PEERS = """
(() => {
  const Native = window.RTCPeerConnection;
  window.watchedPeers = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...rest) { super(...rest); window.watchedPeers.push(this); }
  };
  window.inboundStreams = async () => {
    const rows = [];
    for (const peer of window.watchedPeers) {
      if (peer.connectionState === 'closed') continue;
      (await peer.getStats()).forEach((r) => {
        if (r.type !== 'inbound-rtp') return;
        rows.push({kind: r.kind, mid: r.mid, ssrc: r.ssrc, packets: r.packetsReceived, lost: r.packetsLost,
          framesDecoded: r.framesDecoded || 0, keyFramesDecoded: r.keyFramesDecoded || 0, width: r.frameWidth || 0,
          height: r.frameHeight || 0, freezeCount: r.freezeCount || 0, samples: r.totalSamplesReceived || 0,
          concealed: (r.concealedSamples || 0) - (r.silentConcealedSamples || 0)});
      });
    }
    return rows;
  };
})();
"""


@dataclass(frozen=True, slots=True)
class Chromium:
    """A running browser and the pid of its main process."""

    browser: Browser
    pid: int

    def kill(self) -> None:
        """Kill the browser, as in a crash, without closing connections."""
        os.kill(self.pid, signal.SIGKILL)


def secure_flag(url: str) -> str:
    """Return the flag with which pages at a URL's origin, without TLS, may use cameras."""
    return f"--unsafely-treat-insecure-origin-as-secure={url.rstrip('/')}"


@contextlib.asynccontextmanager
async def chromium(
    prefix: Sequence[str] = (), flags: Sequence[str] = (), *, whole: bool = False, small_camera: bool = False
) -> AsyncIterator[Chromium]:
    """Run a headless Chromium, by default its shell; `prefix` is the argv that enters a namespace.

    Its camera is one of 1280×720 and 10 pictures a second, sent in three layers: most of what a call costs. A small
    one, of 320×180, is sent in one layer. With the flag FULL_RATE, there are 20 pictures a second.
    """
    with tempfile.TemporaryDirectory(prefix="parley-chromium-") as directory:
        if small_camera:
            flags = (*flags, f"--use-file-for-fake-video-capture={_write_pictures(Path(directory) / 'camera.y4m')}")
        executable, pid_file = Path(directory) / "chromium", Path(directory) / "pid"
        command = shlex.join([*prefix, WHOLE if whole else HEADLESS_SHELL])
        executable.write_text(f'#!/bin/sh\necho $$ >{pid_file}\nexec {command} "$@"\n')
        executable.chmod(0o755)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=str(executable), args=[*FLAGS, *flags])
            try:
                yield Chromium(browser, int(pid_file.read_text()))
            finally:
                await browser.close()


def _write_pictures(path: Path) -> Path:
    """Write a second of slanting stripes that move."""
    across, down = np.arange(_WIDTH), np.arange(_HEIGHT)[:, None]
    colours = bytes([128]) * (_WIDTH * _HEIGHT // 2)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{_WIDTH} H{_HEIGHT} F{_RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(_RATE):
            brightness = 64 + (across + down + number * 128 // _RATE) % 128
            file.write(b"FRAME\n" + brightness.astype(np.uint8).tobytes() + colours)
    return path


async def open_page(chromium: Chromium, url: str, **options: Any) -> Page:
    """Open a page whose peer connections are watched."""
    context = await chromium.browser.new_context(
        ignore_https_errors=True, permissions=["camera", "microphone"], **options
    )
    await context.add_init_script(WATCH_PEERS)
    page = await context.new_page()
    await page.goto(url)
    return page


async def inbound(page: Page) -> list[dict[str, Any]]:
    """Return the statistics of every incoming stream of the page."""
    rows: list[dict[str, Any]] = json.loads(await page.evaluate("inboundStreams().then(JSON.stringify)"))
    return rows


async def frames_decoded(page: Page) -> int:
    """Return the pictures that the page has decoded of its incoming streams."""
    return sum(row["framesDecoded"] for row in await inbound(page))
