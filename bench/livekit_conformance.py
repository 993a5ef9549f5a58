# ruff: noqa: E501  (each check is one line of script)
"""Conformance of servers to LiveKit's client: its JavaScript SDK in Chromium does everything that it can, against each.

    python -m bench.livekit_conformance --client livekit-client.umd.js \
        --server LiveKit=ws://127.0.0.1:7880 --server Parley=ws://localhost:8800 --key KEY --secret SECRET --table FILE

Two people meet in a room, and an application governs it by the server API. Each check is a piece of script in one of
their pages. Events are noted as they come; one that no check provokes is told as not seen. The table is written as a
page of the documents.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from livekit import api
from playwright.async_api import Error, Page

from tests.support.chromium import LOOPBACK_FLAG, chromium

_SECONDS = 45.0
_PAGE = """<!doctype html><body><script src="/client.js"></script><script>
const L = LivekitClient, seen = {};
const until = async (test, ms = 12000) => {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise(r => setTimeout(r, 50)))
    if (await test()) return true;
  throw new Error('in vain: ' + test);
};
const note = (name) => { seen[name] = (seen[name] || 0) + 1; };
const join = async (url, token) => {
  window.room = new L.Room({adaptiveStream: true, dynacast: true});
  for (const [name, event] of Object.entries(L.RoomEvent)) room.on(event, () => note('RoomEvent.' + name));
  room.on('trackSubscribed', track => { track.attach().style.width = '320px'; document.body.prepend(track.attachedElements[0]); });
  room.on('trackUnsubscribed', track => track.detach().forEach(element => element.remove()));
  room.on('dataReceived', (data, _, __, topic) => { window.data = [new TextDecoder().decode(data), topic]; });
  await room.connect(url, token);
  const watch = p => Object.entries(L.ParticipantEvent).forEach(([name, e]) => p.on(e, () => note('ParticipantEvent.' + name)));
  watch(room.localParticipant); room.remoteParticipants.forEach(watch); room.on('participantConnected', watch);
  return true;
};
const me = () => room.localParticipant, other = () => [...room.remoteParticipants.values()][0];
const of = source => other().getTrackPublication(L.Track.Source[source]);
const plays = async (source) => {
  const track = of(source)?.track;
  if (!track) return false;
  const before = await track.getReceiverStats(); await new Promise(r => setTimeout(r, 400));
  return (await track.getReceiverStats())?.bytesReceived > before?.bytesReceived;
};
</script>"""


@dataclass(frozen=True)
class Check:
    """A piece of script in somebody's page, what of the SDK it uses, and what another sees of it."""

    about: str
    uses: tuple[str, ...]
    who: str
    script: str
    then: str = ""


def _of(about: str, uses: str, who: str, script: str, then: str = "") -> Check:
    return Check(about, tuple(uses.split()), who, script, then)


CHECKS = [
    _of(
        "publish camera and microphone",
        "LocalParticipant.enableCameraAndMicrophone",
        "ann",
        "me().enableCameraAndMicrophone()",
        "until(() => plays('Camera')).then(() => until(() => plays('Microphone')))",
    ),
    _of(
        "publications are found",
        "Participant.getTrackPublication Participant.getTrackPublications "
        "Participant.getTrackPublicationByName Room.getParticipantByIdentity",
        "bob",
        "until(() => other().getTrackPublications().length === 2 && room.getParticipantByIdentity('ann') === other()"
        " && of('Camera') && other().isCameraEnabled && other().isMicrophoneEnabled)",
    ),
    _of(
        "mute and unmute the microphone",
        "LocalParticipant.setMicrophoneEnabled",
        "ann",
        "me().setMicrophoneEnabled(false)",
        "until(() => of('Microphone').isMuted)",
    ),
    _of(
        "unmute",
        "LocalParticipant.setMicrophoneEnabled",
        "ann",
        "me().setMicrophoneEnabled(true)",
        "until(() => !of('Microphone').isMuted).then(() => until(() => plays('Microphone')))",
    ),
    _of(
        "mute and show the camera again",
        "LocalParticipant.setCameraEnabled",
        "ann",
        "me().setCameraEnabled(false).then(() => me().setCameraEnabled(true))",
        "until(() => plays('Camera'))",
    ),
    _of(
        "share the screen",
        "LocalParticipant.setScreenShareEnabled",
        "ann",
        "me().setScreenShareEnabled(true)",
        "until(() => of('ScreenShare') && other().isScreenShareEnabled)",
    ),
    _of(
        "end the share",
        "LocalParticipant.setScreenShareEnabled",
        "ann",
        "me().setScreenShareEnabled(false)",
        "until(() => !of('ScreenShare'))",
    ),
    _of(
        "publish and unpublish a track of one's own",
        "LocalParticipant.createTracks LocalParticipant.publishTrack LocalParticipant.unpublishTrack",
        "ann",
        "me().createTracks({audio: true}).then(async ([t]) => { await me().publishTrack(t, {name: 'second', source:"
        " L.Track.Source.ScreenShareAudio}); await new Promise(r => setTimeout(r, 800)); await me().unpublishTrack(t); })",
    ),
    _of(
        "publish another codec",
        "LocalParticipant.publishTrack",
        "ann",
        "me().createTracks({video: true}).then(async ([t]) => { await me().publishTrack(t, {videoCodec: 'vp9', source:"
        " L.Track.Source.ScreenShare, backupCodec: false}); window.vp9 = t; })",
        "until(() => plays('ScreenShare'))",
    ),
    _of(
        "unpublish tracks",
        "LocalParticipant.unpublishTracks",
        "ann",
        "me().unpublishTracks([vp9])",
        "until(() => !of('ScreenShare'))",
    ),
    _of(
        "reliable data with a topic",
        "LocalParticipant.publishData",
        "bob",
        "me().publishData(new TextEncoder().encode('hi'), {reliable: true, topic: 't'})",
        "until(() => window.data && data[0] === 'hi' && data[1] === 't')",
    ),
    _of(
        "lossy data to one",
        "LocalParticipant.publishData",
        "bob",
        "me().publishData(new TextEncoder().encode('you'), {reliable: false, destinationIdentities: ['ann']})",
        "until(() => data[0] === 'you')",
    ),
    _of(
        "text",
        "LocalParticipant.sendText Room.registerTextStreamHandler",
        "bob",
        "me().sendText('x'.repeat(40000), {topic: 'c'})",
        "until(() => window.text === 40000)",
    ),
    _of(
        "text in parts",
        "LocalParticipant.streamText",
        "bob",
        "me().streamText({topic: 'c'}).then(async w => { await w.write('ab'); await w.write('c'); await w.close(); })",
        "until(() => window.text === 3)",
    ),
    _of(
        "a file",
        "LocalParticipant.sendFile Room.registerByteStreamHandler",
        "bob",
        "me().sendFile(new File([new Uint8Array(200000)], 'f.bin'), {topic: 'f'})",
        "until(() => window.bytes === 200000)",
    ),
    _of(
        "bytes in parts",
        "LocalParticipant.streamBytes",
        "bob",
        "me().streamBytes({topic: 'f', name: 'n'}).then(async w => { await w.write(new Uint8Array(7)); await w.close(); })",
        "until(() => window.bytes === 7)",
    ),
    _of(
        "chat message",
        "LocalParticipant.sendChatMessage LocalParticipant.editChatMessage",
        "bob",
        "me().sendChatMessage('one').then(m => me().editChatMessage('two', m))",
    ),
    _of(
        "call a procedure",
        "LocalParticipant.performRpc LocalParticipant.registerRpcMethod",
        "bob",
        "me().performRpc({destinationIdentity: 'ann', method: 'm', payload: 'p'}).then(a => { if (a !== 're p') throw a; })",
    ),
    _of(
        "a procedure that is not there",
        "LocalParticipant.performRpc LocalParticipant.unregisterRpcMethod",
        "bob",
        "me().performRpc({destinationIdentity: 'ann', method: 'none', payload: ''}).then(() => { throw 1; },"
        " e => { if (e.code !== 1400) throw e; })",
    ),
    _of(
        "own name, metadata, attributes",
        "LocalParticipant.setName LocalParticipant.setMetadata LocalParticipant.setAttributes",
        "bob",
        "me().setName('Bobby').then(() => me().setMetadata('m')).then(() => me().setAttributes({a: '1'}))",
        "until(() => other().name === 'Bobby' && other().metadata === 'm' && other().attributes.a === '1')",
    ),
    _of(
        "unsubscribe and subscribe",
        "RemoteTrackPublication.setSubscribed",
        "bob",
        "(of('Camera').setSubscribed(false), until(() => !of('Camera').isSubscribed).then(() => of('Camera').setSubscribed(true))"
        ".then(() => until(() => plays('Camera'))))",
    ),
    _of(
        "disable and enable",
        "RemoteTrackPublication.setEnabled",
        "bob",
        "(of('Microphone').setEnabled(false), new Promise(r => setTimeout(r, 800)).then(() => of('Microphone').setEnabled(true))"
        ".then(() => until(() => plays('Microphone'))))",
    ),
    _of(
        "choose a quality, a size, a rate",
        "RemoteTrackPublication.setVideoQuality RemoteTrackPublication.setVideoDimensions "
        "RemoteTrackPublication.setVideoFPS",
        "bob",
        "(of('Microphone'), of('Camera').setVideoQuality(L.VideoQuality.LOW), until(() => plays('Camera')))",
    ),
    _of(
        "volume",
        "RemoteParticipant.setVolume RemoteParticipant.getVolume",
        "bob",
        "(other().setVolume(0.5), until(() => other().getVolume() === 0.5))",
    ),
    _of(
        "who speaks",
        "Room.activeSpeakers",
        "bob",
        "until(() => room.activeSpeakers.some(p => p.identity === 'ann'), 30000)",
    ),
    _of(
        "connection quality",
        "Participant.connectionQuality",
        "bob",
        "until(() => other().connectionQuality === 'excellent' && me().connectionQuality === 'excellent')",
    ),
    _of(
        "share tracks with nobody, then with all",
        "LocalParticipant.setTrackSubscriptionPermissions",
        "ann",
        "(me().setTrackSubscriptionPermissions(false, []), new Promise(r => setTimeout(r, 1500))"
        ".then(() => me().setTrackSubscriptionPermissions(true)))",
        "until(() => plays('Camera'))",
    ),
    _of(
        "ids",
        "Room.getSid Room.simulateParticipants",
        "bob",
        "room.getSid().then(s => { if (!s.startsWith('RM_')) throw s; })",
    ),
    _of(
        "devices",
        "Room.switchActiveDevice Room.getActiveDevice Room.startAudio Room.startVideo",
        "ann",
        "room.startAudio().then(() => room.startVideo()).then(() => navigator.mediaDevices.enumerateDevices()).then(all =>"
        " room.switchActiveDevice('videoinput', all.findLast(d => d.kind === 'videoinput').deviceId))",
    ),
    _of(
        "reconnect by resuming",
        "Room.simulateScenario",
        "bob",
        "room.simulateScenario('signal-reconnect').then(() => until(() => seen['RoomEvent.Reconnected'] &&"
        " room.state === 'connected')).then(() => until(() => plays('Camera')))",
    ),
    _of(
        "reconnect afresh",
        "Room.simulateScenario",
        "ann",
        "room.simulateScenario('full-reconnect').then(() => until(() => seen['RoomEvent.Reconnected'] &&"
        " room.state === 'connected', 20000))",
        "until(() => plays('Camera'), 20000)",
    ),
]
_FIRST = """(room.registerTextStreamHandler('c', async r => { window.text = (await r.readAll()).length; }),
 room.registerByteStreamHandler('f', async r => { window.bytes = (await r.readAll()).reduce((n, c) => n + c.length, 0); }),
 me().registerRpcMethod('m', async d => 're ' + d.payload), 1)"""
_APPLICATION = {
    "metadata of the room": "until(() => room.metadata === 'agenda')",
    "data of the application": "until(() => window.data && data[0] === 'app')",
    "permissions": "until(() => me().permissions.canPublish === false)",
    "muted": "until(() => of('Microphone').isMuted)",
    "removed": "until(() => room.state === 'disconnected' && seen['RoomEvent.Disconnected'])",
}


@dataclass
class Outcome:
    """Outcome of all checks against one server: failures, and all events seen."""

    failures: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)


async def _try(outcome: Outcome, about: str, *scripts: tuple[Page, str]) -> None:
    try:
        for page, script in scripts:
            await asyncio.wait_for(page.evaluate(f"async () => {{ await {script}; }}"), _SECONDS)
        outcome.done.add(about)
    except (Error, TimeoutError) as error:
        outcome.failures[about] = (str(error) or "took too long").splitlines()[0][:200]


async def run(url: str, key: str, secret: str, client: Path) -> Outcome:
    """Run every check against a server."""
    app = web.Application()
    app.router.add_get("/", lambda _: _answer(_PAGE))
    app.router.add_get("/client.js", lambda _: _file(client))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    room, outcome = f"conformance-{time.time_ns()}", Outcome()
    async with (
        chromium(flags=[LOOPBACK_FLAG]) as browser,
        api.LiveKitAPI(url.replace("ws", "http", 1), key, secret) as server,
    ):
        pages = {}
        for who in ("ann", "bob"):
            context = await browser.browser.new_context(permissions=["camera", "microphone"])
            pages[who] = await context.new_page()
            await pages[who].goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            may = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
            token = api.AccessToken(key, secret).with_identity(who).with_name(who).with_grants(may).to_jwt()
            await _try(outcome, f"connect {who}", (pages[who], f"join({json.dumps(url)}, {json.dumps(token)})"))
        await pages["ann"].evaluate(_FIRST)
        for check in CHECKS:
            other = pages["bob" if check.who == "ann" else "ann"]
            then = ((other, check.then),) if check.then else ()
            await _try(outcome, check.about, (pages[check.who], check.script), *then)
        await _govern(outcome, server, room, pages)
        for page in pages.values():
            outcome.events |= set(await page.evaluate("Object.keys(seen)"))
    await runner.cleanup()
    return outcome


async def _govern(outcome: Outcome, server: api.LiveKitAPI, room: str, pages: dict[str, Page]) -> None:
    rooms, about = server.room, iter(_APPLICATION.items())

    async def check(page: Page) -> None:
        name, script = next(about)
        await _try(outcome, name, (page, script))

    await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="agenda"))
    await check(pages["ann"])
    await rooms.send_data(api.SendDataRequest(room=room, data=b"app"))
    await check(pages["ann"])
    await rooms.update_participant(
        api.UpdateParticipantRequest(
            room=room, identity="bob", permission=api.ParticipantPermission(can_subscribe=True, can_publish_data=True)
        )
    )
    await check(pages["bob"])
    ann = await rooms.get_participant(api.RoomParticipantIdentity(room=room, identity="ann"))
    for track in ann.tracks:
        await rooms.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity="ann", track_sid=track.sid, muted=True)
        )
    await check(pages["bob"])
    await rooms.remove_participant(api.RoomParticipantIdentity(room=room, identity="bob"))
    await check(pages["bob"])
    await _try(outcome, "leave", (pages["ann"], "room.disconnect()"))


async def _answer(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")


async def _file(path: Path) -> web.StreamResponse:
    return web.FileResponse(path)


def table(outcomes: dict[str, Outcome], version: str) -> str:
    """Return the page of the documents."""
    names = list(outcomes)
    head = f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"

    def mark(outcome: Outcome, about: str) -> str:
        said = outcome.failures.get(about, "not tried").removeprefix("Page.evaluate: ").removeprefix("Error: ")
        return "✓" if about in outcome.done else f"`{said}`".replace("|", "/")

    checks = [*(("connect " + who, ()) for who in ("ann", "bob")), *((one.about, one.uses) for one in CHECKS)]
    checks += [(about, ()) for about in (*_APPLICATION, "leave")]
    rows = [
        f"| {about}{': ' + ', '.join(f'`{use}`' for use in uses) if uses else ''} |"
        f" {' | '.join(mark(outcome, about) for outcome in outcomes.values())} |"
        for about, uses in checks
    ]
    events = sorted(set().union(*(outcome.events for outcome in outcomes.values())))
    seen = [
        f"| `{event}` | {' | '.join('✓' if event in outcome.events else 'not seen' for outcome in outcomes.values())} |"
        for event in events
    ]
    return (
        "# Conformance to LiveKit's client\n\n"
        f"`livekit-client` {version} in Chromium against each server, by `python -m bench.livekit_conformance`, which wrote\n"
        "this page. The fake camera's sound is a short beep, which not every server takes for speech.\n"
        "What the page on [LiveKit's SDKs](livekit.md) says beyond it was tried by hand.\n\n"
        f"## Methods\n\n{head}" + "\n".join(rows) + f"\n\n## Events\n\n{head}" + "\n".join(seen) + "\n"
    )


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", type=Path, required=True)
    parser.add_argument("--server", action="append", required=True, metavar="NAME=URL")
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--version", default="2.23")
    parser.add_argument("--table", type=Path)
    given: Any = parser.parse_args()
    outcomes = {}
    for server in given.server:
        name, _, url = server.partition("=")
        outcomes[name] = await run(url, given.key, given.secret, given.client)
        for about, failure in outcomes[name].failures.items():
            print(f"{name}: {about}: {failure}", file=sys.stderr)
    page = table(outcomes, given.version)
    if given.table is not None:
        given.table.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    asyncio.run(main())
