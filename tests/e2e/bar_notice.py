"""The notice of recording as it is heard: on the page, in LiveKit's client, and by somebody who joins later.

.venv/bin/pytest -q tests/e2e/bar_notice.py
"""

import asyncio
import base64
import contextlib
import io
import json
import os
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from playwright.async_api import Page, expect

from parley_client import Api
from tests.e2e.conftest import Deployment
from tests.e2e.test_livekit_pages import host_page, join
from tests.support import livekit_page
from tests.support.chromium import chromium, open_page

Sound = npt.NDArray[np.float32]
RATE = 8000
HEARD = os.environ.get("PARLEY_HEARD")
"""A folder for what was heard."""

LISTEN = """async (tracks) => {
  const context = new AudioContext(), mixed = context.createMediaStreamDestination();
  for (const track of tracks) context.createMediaStreamSource(new MediaStream([track])).connect(mixed);
  const recorder = new MediaRecorder(mixed.stream), pieces = [];
  recorder.ondataavailable = ({data}) => pieces.push(data);
  recorder.start();
  window.heard = async () => {
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    const url = await new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.readAsDataURL(new Blob(pieces));
    });
    return url.slice(url.indexOf(',') + 1);
  };
}"""
RECEIVED = """window.watchedPeers.flatMap((peer) => peer.getReceivers()).map(({track}) => track)
  .filter(({kind}) => kind === 'audio')"""


def decoded(data: bytes) -> Sound:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(io.BytesIO(data)) as container:
        frames = [piece for frame in [*container.decode(audio=0), None] for piece in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def likeness(heard: Sound, notice: Sound) -> float:
    """Return the greatest normalised correlation of the notice with a part of what was heard."""
    if heard.size < notice.size:
        return 0.0
    size = heard.size + notice.size
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(notice, size)), size)[: heard.size]
    power = np.concatenate([[0.0], np.cumsum(heard.astype(np.float64) ** 2)])
    ends = np.minimum(np.arange(heard.size) + notice.size, heard.size)
    norms = np.sqrt((power[ends] - power[: heard.size]) * np.sum(notice.astype(np.float64) ** 2))
    return float(np.max(product / np.maximum(norms, 1e-3)))


def notice_of(language: str) -> Sound:
    return decoded((files("sfu.sounds") / f"recording-{language}.opus").read_bytes())


def keep(name: str, data: bytes) -> None:
    if HEARD:
        (Path(HEARD) / f"{name}.webm").write_bytes(data)


async def heard_on(page: Page, name: str) -> Sound:
    data = base64.b64decode(await page.evaluate("heard()"))
    keep(name, data)
    return decoded(data)


async def guest(deployment: Deployment, stack: contextlib.AsyncExitStack, meeting: str) -> Page:
    """Join on the page with microphone and camera off."""
    running = await stack.enter_async_context(chromium(deployment.network.hosts[2].prefix))
    page = await open_page(running, f"{deployment.url_for(2)}/m/{meeting}")
    await page.get_by_label("Your name").fill("Carol")
    await page.locator("#join:not([disabled])").click()
    await page.locator(".tile").first.wait_for()
    return page


async def silence(page: Page) -> None:
    await page.locator("[data-action=microphone]").click()
    await expect(page.locator("[data-action=microphone]")).to_have_attribute("aria-pressed", "false")


async def test_everybody_hears_the_notice(deployment: Deployment) -> None:
    for language in ("en", "zh-CN"):
        await _hear(deployment.admin, deployment, language)


async def _hear(admin: Api, deployment: Deployment, language: str) -> None:
    meeting = await admin.create_meeting(f"Recorded {language}", recording_notice=language)
    notice = notice_of(language)
    host = deployment.network.hosts[1]
    async with (
        livekit_page.site(host) as site,
        livekit_page.tabs("chromium", host, site, ("bob",)) as tabs,
        contextlib.AsyncExitStack() as stack,
    ):
        bob = tabs["bob"]
        page = await host_page(deployment, stack, meeting)
        await silence(page)
        await bob.run(join(deployment, 1, "bob", meeting))
        await bob.run(
            "(window.kinds = [], room.on('participantConnected', p => kinds.push(p.kind)),"
            f" room.on('trackSubscribed', t => t.kind === 'audio' && ({LISTEN})([t.mediaStreamTrack])), true)"
        )
        await page.wait_for_function(f"{RECEIVED}.length > 0")
        await page.evaluate(f"({LISTEN})({RECEIVED})")
        await admin.start_recording(meeting)
        await bob.until("kinds.length === 1", 20)
        await bob.until("room.remoteParticipants.size === 1", 20)
        alike = {"page": likeness(await heard_on(page, f"{language}-page"), notice)}
        data = base64.b64decode(await bob.run("heard()"))
        keep(f"{language}-livekit", data)
        alike["livekit"] = likeness(decoded(data), notice)
        carol = await guest(deployment, stack, meeting)
        await carol.wait_for_function(f"{RECEIVED}.length > 0")
        await carol.evaluate(f"({LISTEN})({RECEIVED})")
        await page.evaluate(f"({LISTEN})({RECEIVED})")
        await silence(carol)
        await asyncio.sleep(7)
        alike["later"] = likeness(await heard_on(carol, f"{language}-later"), notice)
        again = likeness(await heard_on(page, f"{language}-page-later"), notice)
        if HEARD:
            await page.screenshot(path=Path(HEARD) / f"{language}-page.png")
        await admin.stop_recording(meeting)
    print(json.dumps({"language": language, **alike, "page, when somebody joins": again}))
    assert min(alike.values()) > 0.4 and again < 0.2
