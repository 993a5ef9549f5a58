"""The notice of recording as it is heard: on the page, in LiveKit's client, and by somebody who joins later.

.venv/bin/pytest -q tests/e2e/bar_notice.py
"""

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import chromium_guest, firefox_guest
from tests.e2e.test_livekit_pages import host_page, join
from tests.support import livekit_page
from tests.support.spoken_notice import HEARD, NOT_HEARD, Sound, decoded, likeness, notice_of

Evaluate = Callable[[str], Awaitable[Any]]
KEPT = os.environ.get("PARLEY_HEARD")
"""A folder for what was heard."""

LISTEN = """async (tracks) => {
  const recorders = tracks.map((track) => new MediaRecorder(new MediaStream([track]))), pieces = tracks.map(() => []);
  recorders.forEach((recorder, number) => {
    recorder.ondataavailable = ({data}) => pieces[number].push(data);
    recorder.start();
  });
  const whole = async (recorder, number) => {
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    const url = await new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.readAsDataURL(new Blob(pieces[number]));
    });
    return url.slice(url.indexOf(',') + 1);
  };
  window.heard = () => Promise.all(recorders.map(whole));
}"""
"""Firefox's AudioContext hears nothing of a remote track on a machine without a sound card."""

RECEIVED = """window.watchedPeers.flatMap((peer) => peer.getReceivers()).map(({track}) => track)
  .filter(({kind}) => kind === 'audio')"""
LISTEN_SOON = f"""(async () => {{
  for (let turn = 0; turn < 600 && {RECEIVED}.length < 2; turn += 1)
    await new Promise((done) => setTimeout(done, 20));
  return ({LISTEN})({RECEIVED});
}})()"""
"""Listen once there are tracks besides that of the page's own microphone's transceiver."""


async def heard_by(evaluate: Evaluate, name: str, notice: Sound) -> float:
    """Return how much like the notice a track was that somebody received."""
    alike = [0.0]
    for number, text in enumerate(await evaluate("heard()")):
        data = base64.b64decode(text)
        if KEPT and data:
            (Path(KEPT) / f"{name}-{number}.webm").write_bytes(data)
        with contextlib.suppress(av.FFmpegError):  # of a track without any packet there is no file
            alike.append(likeness(decoded(data), notice))
    return max(alike)


@contextlib.asynccontextmanager
async def guest(deployment: Deployment, meeting: str, browser: str) -> AsyncIterator[Evaluate]:
    """Join on the page in a browser; yields what evaluates an expression there."""
    if browser == "firefox":
        async with firefox_guest(deployment, 2, meeting, "Carol") as fox:
            yield fox.evaluate
    else:
        async with chromium_guest(deployment, 2, meeting, "Carol") as page:
            yield page.evaluate


async def silence(page: Page) -> None:
    await page.locator("[data-action=microphone]").click()
    await expect(page.locator("[data-action=microphone]")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_everybody_hears_the_notice(deployment: Deployment, browser: str, language: str) -> None:
    """The host is on the page in Chromium; Bob with LiveKit's client, and Carol later on the page, in either."""
    admin = deployment.admin
    meeting = await admin.create_meeting(f"Recorded {language}", recording_notice=language)
    notice, name = notice_of(language), f"{language}-{browser}"
    host = deployment.network.hosts[1]
    async with (
        livekit_page.site(host.name) as site,
        livekit_page.tabs(browser, host, site, ("bob",)) as tabs,
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
        await page.wait_for_function(f"() => {RECEIVED}.length > 0")
        await page.evaluate(f"({LISTEN})({RECEIVED})")
        await admin.start_recording(meeting)
        await bob.until("kinds.length === 1", 20)
        await bob.until("room.remoteParticipants.size === 1", 20)
        alike = {"page": await heard_by(page.evaluate, f"{name}-page", notice)}
        alike["livekit"] = await heard_by(bob.run, f"{name}-livekit", notice)
        carol = await stack.enter_async_context(guest(deployment, meeting, browser))
        await carol(LISTEN_SOON)
        await page.evaluate(f"({LISTEN})({RECEIVED})")
        await carol("document.querySelector('[data-action=microphone]').click()")
        await asyncio.sleep(7)
        alike["later"] = await heard_by(carol, f"{name}-later", notice)
        again = await heard_by(page.evaluate, f"{name}-page-later", notice)
        if KEPT:
            await page.screenshot(path=Path(KEPT) / f"{name}-page.png")
        await admin.stop_recording(meeting)
    print(json.dumps({"language": language, "browser": browser, **alike, "page, when somebody joins": again}))
    assert min(alike.values()) > HEARD and again < NOT_HEARD
