"""LiveKit's own client in browsers: its JavaScript SDK, in a page that scripts control.

The scripts of the page: `join(url, token)` connects; `room` is the SDK's room, `me()` and `other()` its participants;
`until(test)` waits; `plays(source)` says whether the other's sound or picture arrives; `seen` counts events.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.bidi import firefox
from tests.support.chromium import chromium
from tests.support.namespaces import Host, in_namespace

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "web" / "node_modules" / "livekit-client"
"""The SDK, once the page's tools are installed (web/install.sh)."""

PAGE = """<!doctype html><body><script src="/client.js"></script><script>
const L = LivekitClient, seen = {};
const until = async (test, ms = 12000) => {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise(r => setTimeout(r, 50)))
    if (await test()) return true;
  throw new Error('did not happen in time');
};
const note = (name) => { seen[name] = (seen[name] || 0) + 1; };
const join = async (url, token, password) => {
  const more = {};
  if (password) {
    const keyProvider = new L.ExternalE2EEKeyProvider();
    await keyProvider.setKey(password);
    more.encryption = {keyProvider, worker: new Worker('/worker.js')};
  }
  window.room = new L.Room({adaptiveStream: true, dynacast: true, ...more});
  if (password) await room.setE2EEEnabled(true);
  for (const [name, event] of Object.entries(L.RoomEvent)) room.on(event, () => note('RoomEvent.' + name));
  room.on('trackSubscribed', track => {
    track.attach().style.width = '320px';
    document.body.prepend(track.attachedElements[0]);
  });
  room.on('trackUnsubscribed', track => track.detach().forEach(element => element.remove()));
  room.on('dataReceived', (data, _, __, topic) => { window.data = [new TextDecoder().decode(data), topic]; });
  room.on('dataTrackPublished', async (track) => {
    window.theirTrack = track; window.frames = 0;
    const reader = track.subscribe().getReader();
    for (let next; !(next = await reader.read()).done;) if (next.value.payload.length === 5000) window.frames++;
  });
  await room.connect(url, token);
  const watch = p => Object.entries(L.ParticipantEvent).forEach(
    ([name, e]) => p.on(e, () => note('ParticipantEvent.' + name)));
  watch(room.localParticipant); room.remoteParticipants.forEach(watch); room.on('participantConnected', watch);
  return true;
};
const me = () => room.localParticipant, other = () => [...room.remoteParticipants.values()][0];
const of = source => other()?.getTrackPublication(L.Track.Source[source]);
const plays = async (source) => {
  const track = of(source)?.track;
  if (!track) return false;
  const before = await track.getReceiverStats(); await new Promise(r => setTimeout(r, 400));
  return (await track.getReceiverStats())?.bytesReceived > before?.bytesReceived;
};
const frames = async () => (await of('Camera')?.track?.getReceiverStats())?.framesDecoded || 0;
const shows = async () => {
  const before = await frames(); await new Promise(r => setTimeout(r, 500)); return await frames() > before;
};
const loudness = async (ms = 1500) => {  // the largest level of a tenth of a second of the other's sound, 0 to 1
  const energy = async () => {
    const told = [...(await of('Microphone').track.getRTCStatsReport()).values()].find(s => s.type === 'inbound-rtp');
    return [told?.totalAudioEnergy || 0, told?.totalSamplesDuration || 0];
  };
  let loudest = 0, [energyBefore, durationBefore] = await energy();
  for (const end = Date.now() + ms; Date.now() < end; await new Promise(r => setTimeout(r, 100))) {
    const [now, duration] = await energy();
    if (duration - durationBefore < 0.05) continue;
    loudest = Math.max(loudest, Math.sqrt((now - energyBefore) / (duration - durationBefore)));
    [energyBefore, durationBefore] = [now, duration];
  }
  return loudest;
};
</script>"""


@dataclass(frozen=True)
class Tab:
    """One person's page in either browser; `save` writes a picture of it."""

    evaluate: Callable[[str], Any]
    save: Callable[[Path], Awaitable[Any]]

    async def run(self, script: str) -> Any:
        """Evaluate an expression and await its value; raises the exception that it throws."""
        return await self.evaluate(f"(async () => {{ const value = await ({script}); return value ?? null; }})()")

    async def until(self, test: str, seconds: float = 30) -> None:
        """Wait until an expression of the page is true."""
        await self.run(f"until(async () => {test}, {seconds * 1000})")


@contextlib.asynccontextmanager
async def tabs(browser: str, host: Host, page: str, people: tuple[str, ...]) -> AsyncIterator[dict[str, Tab]]:
    """Open the page for some people, in `chromium` or `firefox`.

    Each person has a browser: Chromium's test camera stays dark if two pages open it again in the same instant.
    """
    async with contextlib.AsyncExitStack() as stack:
        yield {who: await _tab(browser, host, page, stack) for who in people}


async def _tab(browser: str, host: Host, page: str, stack: contextlib.AsyncExitStack) -> Tab:
    if browser == "firefox":
        fox = await stack.enter_async_context(firefox(host.prefix))
        await fox.navigate(page)
        return Tab(fox.evaluate, fox.screenshot)
    running = await stack.enter_async_context(chromium(host.prefix))
    context = await running.browser.new_context(ignore_https_errors=True, permissions=["camera", "microphone"])
    tab = await context.new_page()
    await tab.goto(page)
    return Tab(tab.evaluate, lambda path: tab.screenshot(path=path))


@contextlib.asynccontextmanager
async def site(namespace: str | None = None, package: Path = PACKAGE) -> AsyncIterator[str]:
    """Serve the page on loopback, where pages may use cameras: that of the browsers' namespace, or our own."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def client(_: web.Request) -> web.FileResponse:
        return web.FileResponse(package / "dist" / "livekit-client.umd.js")

    async def worker(_: web.Request) -> web.FileResponse:
        return web.FileResponse(package / "dist" / "livekit-client.e2ee.worker.js")

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/client.js", client), web.get("/worker.js", worker)])
    runner = web.AppRunner(app)
    await runner.setup()
    listening = _listen() if namespace is None else in_namespace(namespace, _listen)
    await web.SockSite(runner, listening).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        await runner.cleanup()


def _listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))
