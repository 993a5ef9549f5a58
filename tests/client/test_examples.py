"""The examples of both SDKs, run at the same time against one server; and the contents of the packages."""

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest
from aiohttp import web
from playwright.async_api import async_playwright

from parley_client import Api, Room
from parley_client.blocking import Api as BlockingApi
from parley_client.bots import enter
from sfu.api import signaling
from sfu.api.sink_client import SinkSocket
from sfu.api.sink_records import CaptionRecord, SinkHello
from tests.support.call import become_admin
from tests.support.chromium import FLAGS, LOOPBACK_FLAG, WHOLE
from tests.support.ports import free_ports
from tests.support.server import RunningServer, running_server

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "client" / "examples"
SCOPES = ["meetings:read", "meetings:write", "admissions:write", "webhooks:write"]


@pytest.fixture(scope="module")
def site_port() -> int:
    """The port of the other site that serves the browser examples."""
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def server(site_port: int) -> Iterator[RunningServer]:
    # Captions come from the test instead of the inference process.
    settings = {"cors_origins": f"http://localhost:{site_port}", "private_webhooks": "true", "inference": "false"}
    with running_server(**settings) as server:
        yield server


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


class Host:
    """The host's session, its API key, and new meetings."""

    def __init__(self, server: RunningServer, api: Api, key: str) -> None:
        self.server, self.api, self.key = server, api, key

    async def arguments(self, **settings: Any) -> tuple[str, str, str]:
        """Return what every example takes: server, key, and a meeting of its own."""
        return self.server.url, self.key, await self.api.create_meeting("Example", **settings)


@pytest.fixture
async def host(server: RunningServer) -> AsyncIterator[Host]:
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)
        key = await api.rest.create_api_key({"name": "examples", "scopes": SCOPES})  # type: ignore[typeddict-item]
        yield Host(server, api, key["secret"] or "")


async def test_every_example_does_what_it_says(host: Host, example: Any, tmp_path: Path) -> None:
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for check in (sound_and_recording, captions, whiteboard, files, whip, moderation, webhooks, encryption):
            group.create_task(check(host, example, tmp_path), name=check.__name__)


async def sound_and_recording(host: Host, example: Any, tmp_path: Path) -> None:
    """The tone bot is recorded, and its tracks are counted; the file has the tone."""
    where = await host.arguments()
    playing = asyncio.create_task(example("tone_bot").main(*where, 60.0))
    path = tmp_path / "tone.ogg"

    async def count() -> None:
        """Repeat the short example until the tone bot's pictures arrive, however slow the machine is."""
        while await example("call_statistics").main(*where, 3, 0.5) <= 10:
            pass

    recorded, _ = await asyncio.gather(example("recorder_bot").main(*where, str(path), 1.0), count())
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    assert recorded >= 1.0
    with av.open(str(path)) as file:
        loudest = max(abs(frame.to_ndarray()).max() for frame in file.decode(audio=0))
    assert 0.1 < loudest < 0.5  # of full scale: the tone has a quarter


async def captions(host: Host, example: Any, _: Path) -> None:
    where = await host.arguments()
    reading = asyncio.create_task(example("caption_reader").main(*where, 1))
    await say_to(host, where, "Captions", reading)
    assert await reading == ["ada: hello there"]


async def say_to(host: Host, where: tuple[str, str, str], reader: str, reading: "asyncio.Task[Any]") -> None:
    """Send a caption, as the inference process would, until a reader with this name has it."""
    async with joined(host, where, "ada") as ada:
        await ada.until(lambda: any(p.name == reader for p in ada.state.participants.values()), 30)
        await ada.send(signaling.Consent(text="1", captions=True))
        assert ada.state.info is not None
        sink = await SinkSocket.connect(host.server.runtime / "sinks.sock", lambda _: None)
        sink.send(SinkHello(sink="inference", instance="test"))
        caption = CaptionRecord(
            room=where[2], participant=ada.state.info.participant, track="t", utterance="u", rev=1, final=True,
            start_ms=0, end_ms=900, lang="en", text="hello there", model="test",
        )  # fmt: skip
        while not reading.done():  # the consent must reach the server first
            sink.send(caption)
            await asyncio.sleep(0.1)
        sink.close()


async def whiteboard(host: Host, example: Any, _: Path) -> None:
    where = await host.arguments()
    main = example("whiteboard").main
    first, second = await asyncio.gather(main(*where, "ada", 2), main(*where, "grace", 2))
    assert {stroke["id"] for stroke in first} == {stroke["id"] for stroke in second}


async def files(host: Host, example: Any, tmp_path: Path) -> None:
    where = await host.arguments()
    sent = tmp_path / "talk.bin"
    content = bytes(range(256)) * 4096  # 1 MiB: more than the channel takes at once
    sent.write_bytes(content)
    main = example("file_sender").main
    receiving = asyncio.create_task(main(*where, "receive"))
    await main(*where, str(sent))
    assert await receiving == ("talk.bin", content)


async def whip(host: Host, example: Any, _: Path) -> None:
    where = await host.arguments()
    sending = asyncio.create_task(example("whip_camera").main(*where, 2.0))
    async with joined(host, where, "ada") as ada:
        await ada.until(lambda: "camera" in {track.source for track in ada.state.tracks.values()}, 30)
        (camera,) = [track.track for track in ada.state.tracks.values() if track.source == "camera"]
        await ada.until(lambda: camera in ada.state.slots.values())
        with ada.frames(camera) as frames:
            assert (await anext(frames)).codec.name == "VP8"
    assert await sending > 10


async def moderation(host: Host, example: Any, _: Path) -> None:
    where = await host.arguments()
    moderating = asyncio.create_task(example("moderation_bot").main(*where, 1))
    offender = await offend(host, where, "Moderator")
    assert await moderating == [offender]
    page = await host.api.rest.list_messages(where[2])
    assert [one["text"] for one in page["messages"] if one["to"] is None] == ["hello"]


async def offend(host: Host, where: tuple[str, str, str], moderator: str) -> str:
    """Send forbidden words until muted; return the id of the participant who sent them."""
    async with joined(host, where, "eve") as eve:
        await eve.until(lambda: any(p.name == moderator for p in eve.state.participants.values()), 30)
        with eve.messages() as messages:
            for text in ("hello", "great casino", "casino again"):
                await eve.chat(text)
            assert eve.state.info is not None
            async for message in messages:
                if isinstance(message, signaling.GrantsChanged):
                    break
        return eve.state.info.participant


async def webhooks(host: Host, example: Any, _: Path) -> None:
    (port,) = free_ports(1)
    main = example("webhook_receiver").main
    receiving = asyncio.create_task(
        main(host.server.url, host.key, f"http://127.0.0.1:{port}/", port, kind="meeting.created", wanted=2)
    )
    while not receiving.done() and not (await host.api.rest.list_webhooks())["webhooks"]:
        await asyncio.sleep(0.05)
    await host.api.create_meeting("Told")
    assert {"webhook.test", "meeting.created"} >= set(await receiving)


async def encryption(host: Host, example: Any, _: Path) -> None:
    where = await host.arguments()
    main = example("encrypted_call").main
    listening = asyncio.create_task(main(*where, "our words", "listen", seconds=0.5))
    speaking = asyncio.create_task(main(*where, "our words", "speak", seconds=60.0))
    async with joined(host, where, "eve") as eve:  # who does not know the words
        await eve.until(lambda: bool(eve.state.tracks), 30)
        digits, heard = await listening
        heard_by_eve = sum(s.frame_count for s in eve.receiver.streams.values() if s.kind == "audio")
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    assert heard >= 25
    assert heard_by_eve  # she receives frames, but cannot decrypt them
    assert len(digits) == 7


@asynccontextmanager
async def joined(host: Host, where: tuple[str, str, str], name: str) -> AsyncIterator[Room]:
    async with Api(where[0], bearer=where[1]) as api, await enter(api, where[2], name, name) as room:
        yield room


SITE = """<!doctype html><meta charset=utf-8><script type=importmap>
{"imports": {"@parley/sdk": "/sdk/parley.js", "@parley/sdk/react": "/sdk/react.js", "react": "/react.js",
 "react-dom/client": "/react.js"}}</script><script type=module>
const load = (name) => import(`/sdk/examples/${name}.js`);
window.examples = async (where, meetings) => {
  const at = (name) => ({...where, meeting: meetings[name]});
  const until = new AbortController();
  const {signal} = until;
  const tone = load('tone-bot').then(({run}) => run({...at('tone'), signal}));
  const whip = load('whip-camera').then(({run}) => run({...at('whip'), signal}));
  const speaker = load('encrypted-call').then(({speak}) => speak({...at('encrypted'), words: 'our words', signal}));
  const files = (async () => {
    const {send, receive} = await load('file-sender');
    const file = new File([new Uint8Array(1 << 20).fill(7)], 'talk.bin');
    const ready = Promise.withResolvers();
    const receiving = receive({...at('files'), ready: ready.resolve});
    await ready.promise;
    const room = await send({...at('files'), file});
    const received = await receiving;
    room.leave();
    return [received.name, received.size];
  })();
  const board = async (identity) => {
    const {run} = await load('whiteboard');
    return (await run({...at('whiteboard'), identity, wanted: 2})).length;
  };
  const packets = async () => {
    const {run} = await load('call-statistics');
    return (await run({...at('tone'), readings: 10, seconds: 0.5})).at(-1).packetsIn;
  };
  const react = async () => {
    const {run} = await load('react-meeting');
    const element = document.body.appendChild(document.createElement('div'));
    const leave = await run({...at('react'), element});
    const shows = () => [...element.querySelectorAll('li')].map((item) => item.textContent).sort().join();
    const plays = () => element.querySelector('video')?.videoWidth > 0;
    const all = 'react,react is here,tone-bot';
    while (shows() !== all || !plays()) await new Promise((resolve) => setTimeout(resolve, 50));
    leave();
    return shows();
  };
  const bot = load('tone-bot').then(({run}) => run({...at('react'), signal}));
  const parts = {
    react: react(),
    recorded: load('recorder-bot').then(({run}) => run({...at('tone'), seconds: 1})).then(({size}) => size),
    packets: packets(),
    fromWhip: load('recorder-bot').then(({run}) => run({...at('whip'), seconds: 1})).then(({size}) => size),
    heard: load('encrypted-call').then(({listen}) => listen({...at('encrypted'), words: 'our words', seconds: 20})),
    files,
    ada: board('ada'),
    grace: board('grace'),
    muted: load('moderation-bot').then(({run}) => run({...at('moderated'), mutes: 1})),
    said: load('caption-reader').then(({run}) => run({...at('captions'), lines: 1})),
  };
  window.unfinished = new Set(Object.keys(parts));
  for (const [name, part] of Object.entries(parts)) part.then(() => window.unfinished.delete(name), () => {});
  const result = await Promise.all(Object.values(parts));
  until.abort();
  await Promise.all([tone, bot, whip, speaker]);
  return result;
};
</script>"""


def react_module() -> str:
    """Return React, development build, as one module."""
    names = "createElement, useCallback, useEffect, useMemo, useState, useSyncExternalStore"
    source = (
        f"import React from 'react'; export const {{{names}}} = React; export {{createRoot}} from 'react-dom/client';"
    )
    folder = ROOT / "web"
    subprocess.run(["sh", "install.sh"], cwd=folder, check=True)
    command = ["node_modules/.bin/esbuild", "--bundle", "--format=esm", "--define:process.env.NODE_ENV='development'"]
    return subprocess.run(command, cwd=folder, input=source, check=True, capture_output=True, text=True).stdout


async def test_every_browser_example_does_what_it_says_on_another_site(host: Host, site_port: int) -> None:
    names = ("tone", "whip", "encrypted", "files", "whiteboard", "moderated", "captions", "react")
    meetings = {name: await host.api.create_meeting(name) for name in names}
    application = web.Application()
    bundled = await asyncio.to_thread(react_module)

    async def page_of_site(_: web.Request) -> web.Response:
        return web.Response(text=SITE, content_type="text/html")

    async def react(_: web.Request) -> web.Response:
        return web.Response(text=bundled, content_type="text/javascript")

    application.router.add_get("/", page_of_site)
    application.router.add_get("/react.js", react)
    application.router.add_static("/sdk", ROOT / "web" / "sdk")
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "localhost", site_port).start()
    where = {"server": host.server.url, "key": host.key}
    try:
        async with async_playwright() as playwright:
            flags = [*FLAGS, LOOPBACK_FLAG]
            browser = await playwright.chromium.launch(executable_path=WHOLE, args=flags)
            page = await browser.new_page()
            page.set_default_timeout(60_000)
            await page.goto(f"http://localhost:{site_port}/")
            running = asyncio.create_task(page.evaluate("(args) => examples(...args)", [where, meetings]))
            here = (host.server.url, host.key)
            try:
                async with asyncio.timeout(120):
                    *_, result = await asyncio.gather(
                        say_to(host, (*here, meetings["captions"]), "caption-reader", running),
                        offend(host, (*here, meetings["moderated"]), "moderator"),
                        running,
                    )
            except TimeoutError:
                raise AssertionError(f"unfinished: {await page.evaluate('[...window.unfinished]')}") from None
            await browser.close()
    finally:
        await runner.cleanup()
    after_leaving, recorded, packets, from_whip, heard, file, *strokes, muted, said = result
    assert after_leaving == ""
    assert min(recorded, from_whip) > 200  # bytes; without sound, only the header of about 110 is written
    assert packets > 20
    assert heard["loudest"] > 0.05
    assert len(heard["code"]) == 7
    assert file == ["talk.bin", 1 << 20]
    assert strokes == [2, 2]
    assert len(muted) == 1
    assert said == ["ada: hello there"]


async def test_the_node_example_receives_webhooks(host: Host, tmp_path: Path) -> None:
    sdk = ROOT / "web" / "sdk"
    (tmp_path / "node_modules" / "@parley").mkdir(parents=True)
    (tmp_path / "node_modules" / "@parley" / "sdk").symlink_to(sdk)
    (tmp_path / "receiver.mjs").write_text((sdk / "examples" / "webhook-receiver.js").read_text())
    (port,) = free_ports(1)
    arguments = [host.server.url, f"http://127.0.0.1:{port}/", str(port), "meeting.created", "1"]
    node = await asyncio.create_subprocess_exec(
        "node", "receiver.mjs", *arguments, cwd=tmp_path, env=os.environ | {"PARLEY_API_KEY": host.key},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        output, _ = await node.communicate()
    assert output.startswith(b"webhook.test ")
    assert node.returncode == 0


async def test_the_blocking_client_makes_the_same_calls(host: Host) -> None:
    where = await host.arguments()

    def program() -> tuple[list[str], int]:
        with BlockingApi(where[0], bearer=where[1]) as api:
            titles = [one["title"] for one in api.rest.iterate_meetings(limit=1)]
            with api.join(where[2], "Ada") as room:
                (camera,) = room.publish(("camera", "VP8"))
                for _ in range(3):
                    camera.send(av.VideoFrame(64, 48, "yuv420p"))
                return titles, camera.publication.packets

    await host.api.create_meeting("Second page")
    titles, packets = await asyncio.to_thread(program)
    assert {"Example", "Second page"} <= set(titles)
    assert packets >= 3


def test_rest_has_a_method_for_every_operation() -> None:
    sys.path.insert(0, str(ROOT / "deploy" / "client"))
    try:
        generate = importlib.import_module("generate")
    finally:
        sys.path.pop(0)
    for name, text in generate.modules().items():
        found = (ROOT / "deploy" / "client" / "parley_client" / name).read_text()
        assert found == text, f"run `python deploy/client/generate.py`: {name} is not what it writes"


WITHOUT_SERVER = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sfu", "foundation", "control", "recorder", "objects"):
            raise ImportError(name + " is the server's")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import parley_client, parley_client.blocking, parley_client.media, parley_client.bots, parley_client.webhooks
assert parley_client.__file__.startswith(sys.argv[1])
parley_client.Room("ws://localhost", token="t")
"""


def test_the_wheel_works_without_the_server(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, "deploy/client"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("parley_client-*.whl")
    subprocess.run([sys.executable, "-c", WITHOUT_SERVER, str(wheel)], cwd=tmp_path, check=True)
