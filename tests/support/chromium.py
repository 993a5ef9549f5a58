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

from playwright.async_api import Browser, Page, async_playwright, expect

WHOLE = "/usr/bin/chromium"
HEADLESS_SHELL = "/usr/lib/chromium/chromium-headless-shell"
"""Chromium without its windows and profiles, of the same package: the same engine, and half of the work in a call."""

expect.set_options(timeout=30_000)  # enough for a busy machine
FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--auto-select-desktop-capture-source=Entire screen",
    "--autoplay-policy=no-user-gesture-required",
)
LOOPBACK_FLAG = "--allow-loopback-in-peer-connection"
FEW_PICTURES = "--use-fake-device-for-media-stream=fps=5"
"""A camera of 5 pictures a second instead of 20, for long calls in which it need not send all its layers at once."""

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


@contextlib.asynccontextmanager
async def chromium(
    prefix: Sequence[str] = (), flags: Sequence[str] = (), *, whole: bool = False
) -> AsyncIterator[Chromium]:
    """Run a headless Chromium, by default its shell; `prefix` is the argv that enters a namespace."""
    with tempfile.TemporaryDirectory(prefix="parley-chromium-") as directory:
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
