"""One Chromium per file; one scripted server and one page per test."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.support.chromium import HEADLESS_SHELL
from tests.web.scripted import SECONDS, ScriptedServer, scripted_server

FLAGS = (
    "--no-sandbox",
    "--font-render-hinting=none",
    "--use-fake-device-for-media-stream=fps=10",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP plain.test 127.0.0.1",
    "--disable-background-networking",
)
# What tests of the SDK find in the page: a room that joins the scripted server, a log of its events, and a second
# RTCPeerConnection of the page that answers and makes offers, since the scripted server has no media.
PRELUDE = """
async () => {
  const sdk = await import('/sdk/parley.js');
  window.sdk = sdk;
  window.log = [];
  const rest = new sdk.Rest();
  window.newRoom = (options = {}) => {
    const room = new sdk.Room({admit: sdk.admission(rest, 'm1', {name: 'Ada'}), ...options});
    for (const type of ['connection', 'participant-joined', 'participant-updated', 'participant-left',
      'track-published', 'track-changed', 'track-unpublished', 'track-media', 'local-changed', 'speakers',
      'chat', 'caption', 'captions-state', 'recording', 'grants', 'problem']) {
      room.addEventListener(type, (event) => window.log.push([type, plain(event.detail)]));
    }
    window.room = room;
    return room;
  };
  const plain = (value) => JSON.parse(JSON.stringify(value ?? null, (key, inner) =>
    inner instanceof MediaStreamTrack ? inner.kind : inner));
  window.answerTo = async (sdp) => {
    window.far?.close();
    window.far = new RTCPeerConnection();
    await window.far.setRemoteDescription({type: 'offer', sdp});
    await window.far.setLocalDescription();
    // Chromium sends simulcast but answers none: what an sfu would add is added here.
    const layers = 'a=rid:q recv\\r\\na=rid:h recv\\r\\na=rid:f recv\\r\\na=simulcast:recv q;h;f\\r\\n';
    const offered = sdp.split(/(?=^m=)/m);
    return window.far.localDescription.sdp.split(/(?=^m=)/m)
      .map((section, index) => section + (offered[index].includes('a=simulcast:') ? layers : '')).join('');
  };
  window.colour = (name) => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 320, height: 180});
    const context = canvas.getContext('2d');
    setInterval(() => { context.fillStyle = name; context.fillRect(0, 0, 320, 180); }, 50);
    return canvas.captureStream(20).getVideoTracks()[0];
  };
}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")
Wait = Callable[[str], Awaitable[Any]]


@contextlib.asynccontextmanager
async def launched(executable: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with launched(HEADLESS_SHELL) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


@contextlib.asynccontextmanager
async def open_page(chromium: Browser, **options: Any) -> AsyncIterator[Page]:
    """A page in its own context; an exception in it fails the test."""
    # The worker of test_offline.py, which the other tests do without.
    options = {"service_workers": "block", "permissions": ["camera", "microphone"]} | options
    context = await chromium.new_context(**options)
    page = await context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
    finally:
        await context.close()
    assert not errors, errors


@pytest_asyncio.fixture(loop_scope="module")
async def page(chromium: Browser, server: ScriptedServer) -> AsyncIterator[Page]:
    """A blank page of the server with the SDK loaded."""
    async with open_page(chromium) as page:
        await page.goto(f"{server.url}/blank")
        await page.evaluate(PRELUDE)
        yield page


async def until(page: Page, expression: str) -> Any:
    """Wait until a JavaScript expression is true, and return its value."""
    handle = await page.wait_for_function(expression)
    return await handle.json_value()


async def events(page: Page, kind: str) -> list[Any]:
    """Return the details of the room's events of a kind so far."""
    log = json.loads(await page.evaluate("JSON.stringify(window.log)"))
    return [detail for name, detail in log if name == kind]
