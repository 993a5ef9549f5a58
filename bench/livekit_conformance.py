# ruff: noqa: E501  (each check is one line of script)
"""Conformance of servers to LiveKit's client: runs its JavaScript SDK in browsers against LiveKit's server and Parley.

    python -m bench.livekit_conformance --package node_modules/livekit-client --livekit-server PATH --table FILE

Both servers and the browsers run in namespaces. Two people meet in a room that an application controls through the
server API, and then in an encrypted room; finally the server's node is killed and restarted. Each check is a script in
one of their pages; events are recorded. The members and events of the SDK are read from its declarations, and those
that no check covers are listed with the reason. The result is a page of the documentation.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from livekit import api
from playwright.async_api import Error

from parley_client import Api
from tests.support.bidi import BidiError, firefox
from tests.support.call import become_admin
from tests.support.chromium import chromium
from tests.support.namespaces import Host, in_namespace, network
from tests.support.server import running_server

_SECONDS = 60.0
_KEY, _SECRET = "devkey", "a secret that is long enough for every hash"
_PAGE = """<!doctype html><body><script src="/client.js"></script><script>
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
const frames = async () => (await of('Camera')?.track?.getReceiverStats())?.framesDecoded || 0;
const shows = async () => {
  const before = await frames(); await new Promise(r => setTimeout(r, 500)); return await frames() > before;
};
</script>"""


@dataclass(frozen=True)
class Check:
    """A script in one person's page, the SDK members that it uses, and a script that checks the effect in another page."""

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
        "find publications",
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
        "stop and restart the camera",
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
        "stop sharing the screen",
        "LocalParticipant.setScreenShareEnabled",
        "ann",
        "me().setScreenShareEnabled(false)",
        "until(() => !of('ScreenShare'))",
    ),
    _of(
        "publish and unpublish another track",
        "LocalParticipant.createTracks LocalParticipant.publishTrack LocalParticipant.unpublishTrack",
        "ann",
        "me().createTracks({audio: true}).then(async ([t]) => { await me().publishTrack(t, {name: 'second', source:"
        " L.Track.Source.ScreenShareAudio}); await new Promise(r => setTimeout(r, 800)); await me().unpublishTrack(t); })",
    ),
    _of(
        "publish with another codec",
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
        "send reliable data with a topic",
        "LocalParticipant.publishData",
        "bob",
        "me().publishData(new TextEncoder().encode('hi'), {reliable: true, topic: 't'})",
        "until(() => window.data && data[0] === 'hi' && data[1] === 't')",
    ),
    _of(
        "send lossy data to one participant",
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
        "send text in parts",
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
        "send a file of 1.5 MB",
        "LocalParticipant.sendFile Room.registerByteStreamHandler",
        "bob",
        "me().sendFile(new File([new Uint8Array(1500000)], 'f.bin'), {topic: 'f'})",
        "until(() => window.bytes === 1500000, 30000)",
    ),
    _of(
        "send 1.2 MB of bytes at once",
        "LocalParticipant.sendBytes",
        "bob",
        "me().sendBytes(new Uint8Array(1200000), {topic: 'f'})",
        "until(() => window.bytes === 1200000, 30000)",
    ),
    _of(
        "send 1.2 MB of text",
        "LocalParticipant.sendText",
        "bob",
        "me().sendText('y'.repeat(1200000), {topic: 'c'})",
        "until(() => window.text === 1200000, 30000)",
    ),
    _of(
        "send bytes in parts",
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
        "call an RPC method",
        "LocalParticipant.performRpc LocalParticipant.registerRpcMethod",
        "bob",
        "me().performRpc({destinationIdentity: 'ann', method: 'm', payload: 'p'}).then(a => { if (a !== 're p') throw a; })",
    ),
    _of(
        "call an unknown RPC method",
        "LocalParticipant.performRpc LocalParticipant.unregisterRpcMethod",
        "bob",
        "me().performRpc({destinationIdentity: 'ann', method: 'none', payload: ''}).then(() => { throw 1; },"
        " e => { if (e.code !== 1400) throw e; })",
    ),
    _of(
        "set one's own name, metadata, attributes",
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
        "disable and enable a subscribed track",
        "RemoteTrackPublication.setEnabled",
        "bob",
        "(of('Microphone').setEnabled(false), new Promise(r => setTimeout(r, 800)).then(() => of('Microphone').setEnabled(true))"
        ".then(() => until(() => plays('Microphone'))))",
    ),
    _of(
        "choose quality, size and frame rate",
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
        "active speakers",
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
        "allow nobody to subscribe, then everybody",
        "LocalParticipant.setTrackSubscriptionPermissions",
        "ann",
        "(me().setTrackSubscriptionPermissions(false, []), new Promise(r => setTimeout(r, 1500))"
        ".then(() => me().setTrackSubscriptionPermissions(true)))",
        "until(() => plays('Camera'))",
    ),
    _of(
        "properties of the room",
        "Room.getSid Room.state Room.remoteParticipants Room.localParticipant Room.options Room.serverInfo Room.name"
        " Room.metadata Room.numParticipants Room.numPublishers Room.isRecording Room.isE2EEEnabled Room.hasE2EESetup"
        " Room.canPlaybackAudio Room.canPlaybackVideo",
        "bob",
        "room.getSid().then(s => { if (!s.startsWith('RM_')) throw s; }).then(() => until(() => room.state === 'connected'"
        " && room.remoteParticipants.size === 1 && room.localParticipant.identity === 'bob' && room.options.dynacast"
        " && room.serverInfo.version && room.name && room.metadata === '' && room.numParticipants >= 1"
        " && room.numPublishers >= 0 && room.isRecording === false && room.isE2EEEnabled === false"
        " && room.hasE2EESetup === false && room.canPlaybackAudio && room.canPlaybackVideo))",
    ),
    _of(
        "properties of participants",
        "Participant.audioTrackPublications Participant.videoTrackPublications Participant.trackPublications"
        " Participant.audioLevel Participant.isSpeaking Participant.sid Participant.identity Participant.name"
        " Participant.metadata Participant.permissions Participant.isEncrypted Participant.isAgent Participant.isActive"
        " Participant.kind Participant.attributes Participant.isCameraEnabled Participant.isMicrophoneEnabled"
        " Participant.isScreenShareEnabled Participant.isLocal Participant.joinedAt"
        " LocalParticipant.isE2EEEnabled LocalParticipant.lastCameraError LocalParticipant.lastMicrophoneError"
        " RemoteParticipant.dataTracks",
        "bob",
        "until(() => { const a = other(); return a.audioTrackPublications.size && a.videoTrackPublications.size &&"
        " a.trackPublications.size > 1 && a.audioLevel >= 0 && a.isSpeaking !== undefined && a.sid.startsWith('PA_') &&"
        " a.identity === 'ann' && a.name === 'ann' && a.metadata !== null && me().permissions.canPublish && !a.isEncrypted &&"
        " !a.isAgent && a.isActive && a.kind === 0 && a.attributes && a.isCameraEnabled && a.isMicrophoneEnabled &&"
        " !a.isScreenShareEnabled && !a.isLocal && a.joinedAt > new Date(2020, 1) &&"
        " !me().isE2EEEnabled && !me().lastCameraError && !me().lastMicrophoneError && a.dataTracks; })",
    ),
    _of("wait until a participant is active", "Participant.waitUntilActive", "bob", "other().waitUntilActive()"),
    _of(
        "publish everything again",
        "LocalParticipant.republishAllTracks",
        "ann",
        "me().republishAllTracks()",
        "until(() => of('Camera')).then(() => until(() => plays('Camera'))).then(() => until(() => plays('Microphone')))",
    ),
    _of(
        "create screen tracks",
        "LocalParticipant.createScreenTracks",
        "ann",
        "me().createScreenTracks().then(all => { if (!all.length) throw 1; all.forEach(t => t.stop()); })",
    ),
    _of(
        "send a DTMF tone",
        "LocalParticipant.publishDtmf",
        "bob",
        "me().publishDtmf(1, '1')",
        "until(() => seen['RoomEvent.SipDTMFReceived'])",
    ),
    _of(
        "publish a data track",
        "LocalParticipant.publishDataTrack",
        "bob",
        "Promise.race([me().publishDataTrack({name: 'd'}), new Promise((_, no) => setTimeout(() => no('no answer'), 8000))])",
        "until(() => seen['RoomEvent.DataTrackPublished'])",
    ),
    _of(
        "open a missing device",
        "LocalParticipant.setMicrophoneEnabled",
        "bob",
        "me().setMicrophoneEnabled(true, {deviceId: {exact: 'none'}}).catch(() => 0).then(() =>"
        " until(() => seen['RoomEvent.MediaDevicesError']))",
    ),
    _of(
        "register handlers on the room",
        "Room.registerRpcMethod Room.unregisterRpcMethod Room.unregisterTextStreamHandler"
        " Room.unregisterByteStreamHandler",
        "ann",
        "(room.registerRpcMethod('r', async () => 'ok'), room.registerTextStreamHandler('u', () => 0),"
        " room.unregisterTextStreamHandler('u'), room.registerByteStreamHandler('u', () => 0),"
        " room.unregisterByteStreamHandler('u'))",
        "me().performRpc({destinationIdentity: 'ann', method: 'r', payload: ''}).then(a => { if (a !== 'ok') throw a; })",
    ),
    _of(
        "prepare a connection",
        "Room.prepareConnection Room.simulateParticipants",
        "bob",
        "new L.Room().prepareConnection(window.at).then(() => new L.Room().simulateParticipants({participants: {count: 1}}))",
    ),
    _of(
        "devices",
        "Room.switchActiveDevice Room.getActiveDevice Room.getLocalDevices Room.startAudio Room.startVideo",
        "ann",
        "L.Room.getLocalDevices('videoinput').then(all => { if (!all.length || !room.getActiveDevice('videoinput')) throw 1; })"
        ".then(() => room.startAudio()).then(() => room.startVideo()).then(() => navigator.mediaDevices.enumerateDevices()).then(all =>"
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
        "reconnect fully",
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
    "room metadata set by the application": "until(() => room.metadata === 'agenda')",
    "data sent by the application": "until(() => window.data && data[0] === 'app')",
    "permissions changed by the application": "until(() => me().permissions.canPublish === false)",
    "muted by the application": "until(() => of('Microphone').isMuted)",
    "removed by the application": "until(() => room.state === 'disconnected' && seen['RoomEvent.Disconnected'])",
}
_LATER = {
    "end-to-end encryption": "Room.setE2EEEnabled Participant.isEncrypted",
    "no picture with a wrong key": "Room.setE2EEEnabled",
    "reconnect after the node was killed": "",
    "leave": "Room.disconnect",
}
_REASONS = {
    "Room.bufferedSegments": "an internal field of the SDK",
    "Room.cleanupRegistry": "an internal field of the SDK",
    "Room.emit": "part of the SDK's event emitter",
    "Participant.lastSpokeAt": "set while the participant speaks, see `Room.activeSpeakers`",
    "RemoteParticipant.signalClient": "an internal field of the SDK",
    "RoomEvent.Moved": "participants are not moved between rooms, nor by LiveKit's open server",
    "RoomEvent.MediaDevicesChanged": "devices do not change in this run",
    "RoomEvent.TrackSubscriptionFailed": "both browsers decode every codec of this run",
    "RoomEvent.TranscriptionReceived": "an older form of transcription; captions arrive as text streams",
    "RoomEvent.TrackStreamStateChanged": "bandwidth is sufficient in this run",
    "RoomEvent.AudioPlaybackStatusChanged": "these browsers play without a user gesture",
    "RoomEvent.VideoPlaybackStatusChanged": "these browsers play without a user gesture",
    "RoomEvent.RecordingStatusChanged": "nothing is recorded in this run",
    "RoomEvent.MetricsReceived": "sent by agents",
    "ParticipantEvent.TrackSubscriptionFailed": "both browsers decode every codec of this run",
    "ParticipantEvent.LocalTrackCpuConstrained": "depends on the browser's encoder",
    "ParticipantEvent.TrackCpuConstrained": "depends on the browser's encoder",
    "ParticipantEvent.TranscriptionReceived": "an older form of transcription; captions arrive as text streams",
    "ParticipantEvent.TrackStreamStateChanged": "bandwidth is sufficient in this run",
    "ParticipantEvent.PCTrackAdded": "internal to the SDK",
}


@dataclass
class Outcome:
    """Outcome of all checks against one server in one browser: failures, and all events seen."""

    failures: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Tab:
    """One person's page in either browser."""

    evaluate: Callable[[str], Any]

    async def run(self, script: str) -> Any:
        """Evaluate an expression and await its value; raises the exception that it throws."""
        return await self.evaluate(f"(async () => {{ const value = await ({script}); return value ?? null; }})()")


@dataclass(frozen=True)
class Server:
    """A running server: its address in the browsers' namespace and here, and a function that kills and restarts its node."""

    url: str
    here: str
    kill: Callable[[], None]


@contextlib.contextmanager
def _parley(host: Host, prefix: list[str], here: str) -> Iterator[Server]:
    keys = f"{_KEY}: {_SECRET}"
    settings = {"livekit_keys": keys, "inference": "false", "http_host": "0.0.0.0"}
    with running_server(prefix, sfu_addresses=host.server_address, **settings) as server:

        async def set_up() -> None:
            async with Api(f"http://{here}:{server.http_port}") as client:
                await become_admin(client, server.setup_token)

        asyncio.run(set_up())
        port = server.http_port
        yield Server(
            f"ws://{host.server_address}:{port}",
            f"http://{here}:{port}",
            lambda: os.kill(server.part_pid("sfu"), signal.SIGKILL),
        )


@contextlib.contextmanager
def _livekit(binary: Path, host: Host, prefix: list[str], here: str) -> Iterator[Server]:
    configuration = {
        "port": 7880,
        "rtc": {"udp_port": 7882, "tcp_port": 0, "node_ip": host.server_address, "use_external_ip": False},
        "keys": {_KEY: _SECRET},
        "logging": {"level": "error"},
    }
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "livekit.json"
        file.write_text(json.dumps(configuration))
        running: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            command = [*prefix, str(binary), "--config", str(file)]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def kill() -> None:
            running[-1].kill()
            running[-1].wait()
            start()

        start()
        try:
            yield Server(f"ws://{host.server_address}:7880", f"http://{here}:7880", kill)
        finally:
            running[-1].kill()
            running[-1].wait()


@contextlib.asynccontextmanager
async def _tabs(browser: str, host: Host, page: str) -> AsyncIterator[dict[str, Tab]]:
    """Open the page for two people."""
    people = ("ann", "bob")
    async with contextlib.AsyncExitStack() as stack:
        tabs: dict[str, Tab] = {}
        if browser == "firefox":
            for who in people:
                running = await stack.enter_async_context(firefox(host.prefix))
                await running.navigate(page)
                tabs[who] = Tab(running.evaluate)
        else:
            one = await stack.enter_async_context(chromium(host.prefix))
            for who in people:
                context = await one.browser.new_context(permissions=["camera", "microphone"])
                tab = await context.new_page()
                await tab.goto(page)
                tabs[who] = Tab(tab.evaluate)
        yield tabs


@contextlib.asynccontextmanager
async def _site(host: Host, package: Path) -> AsyncIterator[str]:
    """Serve the page on the loopback interface of the browsers' namespace, where pages may use cameras."""
    app = web.Application()
    app.router.add_get("/", lambda _: _answer(_PAGE))
    app.router.add_get("/client.js", lambda _: _file(package / "dist" / "livekit-client.umd.js"))
    app.router.add_get("/worker.js", lambda _: _file(package / "dist" / "livekit-client.e2ee.worker.js"))
    runner = web.AppRunner(app)
    await runner.setup()
    listening = in_namespace(host.name, lambda: socket.create_server(("127.0.0.1", 0)))
    await web.SockSite(runner, listening).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        await runner.cleanup()


async def _try(outcome: Outcome, about: str, *scripts: tuple[Tab, str]) -> None:
    try:
        for tab, script in scripts:
            await asyncio.wait_for(tab.run(script), _SECONDS)
        outcome.done.add(about)
    except (Error, BidiError, TimeoutError) as error:
        outcome.failures[about] = (str(error) or "timed out").splitlines()[0][:160]


def _token(who: str, room: str) -> str:
    may = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    return api.AccessToken(_KEY, _SECRET).with_identity(who).with_name(who).with_grants(may).to_jwt()


def _join(server: Server, who: str, room: str, password: str = "") -> str:
    arguments = ", ".join(json.dumps(value) for value in (server.url, _token(who, room), password))
    return f"join({arguments})"


async def run(server: Server, browser: str, host: Host, package: Path) -> Outcome:
    """Run every check against a server in a browser."""
    room, outcome = f"conformance-{time.time_ns()}", Outcome()
    async with (
        _site(host, package) as page,
        _tabs(browser, host, page) as tabs,
        api.LiveKitAPI(server.here, _KEY, _SECRET) as application,
    ):
        for who, tab in tabs.items():
            await tab.run(f"window.at = {json.dumps(server.url)}")
            await _try(outcome, f"connect {who}", (tab, _join(server, who, room)))
        await tabs["ann"].run(_FIRST)
        for check in CHECKS:
            other = tabs["bob" if check.who == "ann" else "ann"]
            then = ((other, check.then),) if check.then else ()
            await _try(outcome, check.about, (tabs[check.who], check.script), *then)
        await _govern(outcome, application, room, tabs)
        await _seal(outcome, server, f"{room}-sealed", tabs)
        await _kill(outcome, server, f"{room}-killed", tabs)
        await _try(outcome, "leave", (tabs["ann"], "room.disconnect()"))
        for tab in tabs.values():
            outcome.events |= set(await tab.run("Object.keys(seen)"))
    return outcome


async def _seal(outcome: Outcome, server: Server, room: str, tabs: dict[str, Tab]) -> None:
    """Meet in an encrypted room, with the same key and then with different keys."""
    ann, bob = tabs["ann"], tabs["bob"]
    await _try(
        outcome,
        "end-to-end encryption",
        (ann, "room.disconnect()"),
        (ann, _join(server, "ann", room, "one key")),
        (bob, _join(server, "bob", room, "one key")),
        (ann, "me().enableCameraAndMicrophone()"),
        (bob, "until(shows).then(() => until(() => other().isEncrypted))"),
    )
    await _try(
        outcome,
        "no picture with a wrong key",
        (bob, "room.disconnect()"),
        (bob, _join(server, "bob", room, "another key")),
        (bob, "until(() => of('Camera')?.track).then(() => new Promise(r => setTimeout(r, 3000))).then(shows)"
         ".then(any => { if (any) throw 'something is shown'; })"),
    )  # fmt: skip


async def _kill(outcome: Outcome, server: Server, room: str, tabs: dict[str, Tab]) -> None:
    """Kill the node of a call; the SDKs must reconnect to its replacement."""
    back = "until(() => room.state === 'connected' && other(), 50000)"
    for who, tab in tabs.items():
        await _try(outcome, "", (tab, "room.disconnect()"), (tab, _join(server, who, room)))
    await _try(outcome, "", (tabs["ann"], "me().setCameraEnabled(true)"), (tabs["bob"], "until(() => plays('Camera'))"))
    outcome.done.discard("")
    server.kill()
    await _try(
        outcome,
        "reconnect after the node was killed",
        (tabs["bob"], "until(() => room.state !== 'connected', 40000)"),
        (tabs["ann"], back),
        (tabs["bob"], back),
        (tabs["bob"], "until(() => plays('Camera'), 40000)"),
    )


async def _govern(outcome: Outcome, server: api.LiveKitAPI, room: str, pages: dict[str, Tab]) -> None:
    rooms, about = server.room, iter(_APPLICATION.items())

    async def check(page: Tab) -> None:
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


async def _answer(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")


async def _file(path: Path) -> web.StreamResponse:
    return web.FileResponse(path)


async def _answer(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")


async def _file(path: Path) -> web.StreamResponse:
    return web.FileResponse(path)


_MEMBER = re.compile(
    r"(/\*\*(?:(?!\*/).)*\*/)?\s*\n    (?!private|protected|constructor)(?:(?:static|readonly|get|set|async) )*"
    r"([A-Za-z_]\w*)\??(?:<[^(]*>)?[(:]",
    re.DOTALL,
)
_CLASSES = {
    "Room": "Room",
    "Participant": "participant/Participant",
    "LocalParticipant": "participant/LocalParticipant",
    "RemoteParticipant": "participant/RemoteParticipant",
}


def declared(package: Path) -> tuple[list[str], list[str]]:
    """Return the public members of rooms and participants, and the events, that the SDK declares."""
    base = package / "dist" / "src" / "room"
    members: list[str] = []
    for kind, file in _CLASSES.items():
        text = (base / f"{file}.d.ts").read_text()
        text = text[text.index(f"class {kind} ") :].partition("\n}")[0]
        found = [(name, said or "") for said, name in _MEMBER.findall(text)]
        members += [f"{kind}.{name}" for name, said in found if "@internal" not in said and "@hidden" not in said]
    events: list[str] = []
    text = (base / "events.d.ts").read_text()
    for kind in ("RoomEvent", "ParticipantEvent"):
        part = text[text.index(f"enum {kind} ") :].partition("\n}")[0]
        events += [f"{kind}.{name}" for name in re.findall(r"^    (\w+) = ", part, re.MULTILINE)]
    known = {member.partition(".")[2] for member in members if member.startswith("Participant.")}
    own = [
        one for one in members if one.partition(".")[0] in ("Room", "Participant") or one.partition(".")[2] not in known
    ]
    return list(dict.fromkeys(own)), sorted(set(events))


def _uses() -> dict[str, str]:
    """Return the SDK members that checks use, each with its first check."""
    uses: dict[str, str] = {"Room.connect": "connect ann"}
    rows = [*((check.about, check.uses) for check in CHECKS), *((about, of.split()) for about, of in _LATER.items())]
    for about, names in rows:
        for name in names:
            uses.setdefault(name, about)
    return uses


def table(outcomes: dict[str, Outcome], version: str, members: list[str], events: list[str]) -> str:
    """Return the page of the documentation."""
    head = f"| | {' | '.join(outcomes)} |\n|---|{'---|' * len(outcomes)}\n"

    def mark(outcome: Outcome, about: str) -> str:
        said = outcome.failures.get(about, "not tested").removeprefix("Page.evaluate: ").removeprefix("Error: ")
        return "✓" if about in outcome.done else f"`{said}`".replace("|", "/")

    def row(name: str, marks: list[str]) -> str:
        return f"| {name} | {' | '.join(marks)} |"

    abouts = ["connect ann", "connect bob", *(one.about for one in CHECKS), *_APPLICATION, *_LATER]
    checks = [row(about, [mark(outcome, about) for outcome in outcomes.values()]) for about in abouts]
    uses, told = _uses(), []
    for name in members:
        if name in uses:
            told.append(row(f"`{name}`: {uses[name]}", [mark(outcome, uses[name]) for outcome in outcomes.values()]))
        else:
            told.append(row(f"`{name}`", [_REASONS.get(name, "not tested")] * len(outcomes)))
    seen = [
        row(f"`{name}`", ["✓" if name in one.events else _REASONS.get(name, "not seen") for one in outcomes.values()])
        for name in events
    ]
    return (
        "# Conformance to LiveKit's client\n\n"
        f"`livekit-client` {version} in Chromium and Firefox against each server. `python -m bench.livekit_conformance`\n"
        "wrote this page. The fake microphone plays short beeps, which not every server detects as speech.\n"
        "Firefox runs without a screen to share. Parley refuses data tracks.\n"
        "Other statements of the page on [LiveKit's SDKs](livekit.md) were tested by hand.\n\n"
        f"## Checks\n\n{head}" + "\n".join(checks)
        + f"\n\n## Rooms and participants\n\n{head}" + "\n".join(told)
        + f"\n\n## Events\n\n{head}" + "\n".join(seen) + "\n"
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--livekit-server", type=Path, help="without it, only Parley is tested")
    parser.add_argument("--browsers", default="chromium,firefox")
    parser.add_argument("--table", type=Path)
    given: Any = parser.parse_args()
    version = json.loads((given.package / "package.json").read_text())["version"]
    outcomes = {}
    with network(1) as net:
        host = net.hosts[0]
        at = (host, net.server_prefix, net.server_address)
        for browser in given.browsers.split(","):
            servers = {"LiveKit": _livekit(given.livekit_server, *at)} if given.livekit_server else {}
            servers["Parley"] = _parley(*at)
            for name, server in servers.items():
                with server as running:
                    outcome = asyncio.run(run(running, browser, host, given.package))
                outcomes[f"{name}, {browser.title()}"] = outcome
                for about, failure in outcome.failures.items():
                    print(f"{name}, {browser}: {about}: {failure}", file=sys.stderr, flush=True)
    page = table(outcomes, version, *declared(given.package))
    if given.table is not None:
        given.table.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
