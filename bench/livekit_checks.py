# ruff: noqa: E501  (each check is one line of script)
"""Checks of LiveKit's client: scripts in the pages of two people, and why members of the SDK have no check."""

from dataclasses import dataclass


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


def _with_codec(codec: str) -> tuple[Check, Check]:
    """Return checks of a track with layers of one codec, which the SDK replaces by VP8 in Firefox."""
    uses = "LocalParticipant.publishTrack LocalParticipant.unpublishTracks"
    publish = (
        "me().createTracks({video: true}).then(async ([t]) => { window.another = t; await me().publishTrack(t, {videoCodec:"
        f" '{codec}', source: L.Track.Source.ScreenShare, backupCodec: false}}); }})"
    )
    arrives = (
        f"until(async () => of('ScreenShare')?.mimeType === (navigator.userAgent.includes('Firefox') ? 'video/VP8' :"
        f" 'video/{codec.upper()}') && (await of('ScreenShare').track?.getReceiverStats())?.framesDecoded > 10)"
    )
    return (
        _of(f"publish {codec.upper()} with layers", uses, "ann", publish, arrives),
        _of(
            f"unpublish {codec.upper()}",
            uses,
            "ann",
            "me().unpublishTracks([another])",
            "until(() => !of('ScreenShare'))",
        ),
    )


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
    *(check for codec in ("vp9", "av1") for check in _with_codec(codec)),
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
        "Promise.race([me().publishDataTrack({name: 'd'}), new Promise((_, no) => setTimeout(() => no('no answer'), 8000))])"
        ".then(track => { window.track = track; })",
        "until(() => window.theirTrack?.info.name === 'd')",
    ),
    _of(
        "send frames of a data track",
        "LocalParticipant.publishDataTrack",
        "bob",
        "(async () => { for (let n = 0; n < 40; n++) {"
        " await track.tryPush({payload: new Uint8Array(5000).fill(n)}).catch(() => 0);"
        " await new Promise(r => setTimeout(r, 50)); } })()",
        "until(() => window.frames > 20)",
    ),
    _of(
        "unpublish a data track",
        "LocalParticipant.publishDataTrack",
        "bob",
        "track.unpublish()",
        "until(() => seen['RoomEvent.DataTrackUnpublished'])",
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
FIRST = """(room.registerTextStreamHandler('c', async r => { window.text = (await r.readAll()).length; }),
 room.registerByteStreamHandler('f', async r => { window.bytes = (await r.readAll()).reduce((n, c) => n + c.length, 0); }),
 me().registerRpcMethod('m', async d => 're ' + d.payload), 1)"""
APPLICATION = {
    "room metadata set by the application": "until(() => room.metadata === 'agenda')",
    "data sent by the application": "until(() => window.data && data[0] === 'app')",
    "permissions changed by the application": "until(() => me().permissions.canPublish === false)",
    "muted by the application": "until(() => of('Microphone').isMuted)",
    "removed by the application": "until(() => room.state === 'disconnected' && seen['RoomEvent.Disconnected'])",
}
LATER = {
    "end-to-end encryption": "Room.setE2EEEnabled Participant.isEncrypted",
    "no picture with a wrong key": "Room.setE2EEEnabled",
    "reconnect after the node was killed": "",
    "be moved to another room": "",
    "leave": "Room.disconnect",
}
REASONS = {
    "Room.bufferedSegments": "an internal field of the SDK",
    "Room.cleanupRegistry": "an internal field of the SDK",
    "Room.emit": "part of the SDK's event emitter",
    "Participant.lastSpokeAt": "set while the participant speaks, see `Room.activeSpeakers`",
    "RemoteParticipant.signalClient": "an internal field of the SDK",
    "RoomEvent.Moved": "LiveKit's open server moves nobody",
    "RoomEvent.MediaDevicesChanged": "devices do not change in this run",
    "RoomEvent.TrackSubscriptionFailed": "both browsers decode every codec of this run",
    "RoomEvent.TranscriptionReceived": "nobody is captioned in this run",
    "RoomEvent.TrackStreamStateChanged": "bandwidth is sufficient in this run",
    "RoomEvent.AudioPlaybackStatusChanged": "these browsers play without a user gesture",
    "RoomEvent.VideoPlaybackStatusChanged": "these browsers play without a user gesture",
    "RoomEvent.RecordingStatusChanged": "nothing is recorded in this run",
    "RoomEvent.DCBufferStatusChanged": "depends on how fast the link drains",
    "RoomEvent.LocalAudioSilenceDetected": "the fake microphone beeps",
    "RoomEvent.MetricsReceived": "sent by agents",
    "ParticipantEvent.TrackSubscriptionFailed": "both browsers decode every codec of this run",
    "ParticipantEvent.LocalTrackCpuConstrained": "depends on the browser's encoder",
    "ParticipantEvent.TrackCpuConstrained": "depends on the browser's encoder",
    "ParticipantEvent.TranscriptionReceived": "nobody is captioned in this run",
    "ParticipantEvent.TrackStreamStateChanged": "bandwidth is sufficient in this run",
    "ParticipantEvent.PCTrackAdded": "internal to the SDK",
}
