"""Two sfu processes on one machine, one of them killed in a recorded call: call and recording continue.

A client of LiveKit's comes back by itself, too.
"""

import asyncio
import json
import os
import signal

from parley_client import Api, Attendance, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.support import livekit_client
from tests.support.call import become_admin, received, send
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually


async def test_a_recorded_call_goes_on_at_the_other_worker() -> None:
    with running_server(workers="2", inference="false", livekit_keys=livekit_client.KEYS) as server:
        async with Api(server.url) as admin:
            await become_admin(admin, server.setup_token)
            meeting = await admin.create_meeting("Recorded")
            await _record(server, admin, meeting)


async def _record(server: RunningServer, admin: Api, meeting: str) -> None:
    sending: list[asyncio.Task[None]] = []
    token = livekit_client.access_token("eve", meeting, attributes={"parley.consent": "recording"})

    async def publish(room: Room) -> None:
        recording = room.state.recording
        await room.send(Consent(text=recording.text or "1", recording=True))
        camera, microphone = await room.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
        sending.append(asyncio.create_task(send(camera, microphone)))

    async with (
        Attendance(admin, meeting, "Ada", prepare=publish) as speaker,
        Api(server.url) as guest,
        Attendance(guest, meeting, "Grace") as listener,
        livekit_client.livekit_client(server.url, token, one_peer=True) as theirs,
    ):
        assert listener.room is not None and speaker.room is not None
        participant = speaker.room.state.info
        await received(listener.room, {"audio": 20, "video": 5})
        await admin.start_recording(meeting)
        await received(listener.room, {"audio": 170, "video": 80})
        first = (await admin.request("GET", f"/meetings/{meeting}/room"))["node"]
        await eventually(lambda: theirs.seen and theirs.heard, 30)
        seen_before = set(theirs.seen)
        os.kill(server.part_pid(f"sfu-{first[-1]}"), signal.SIGKILL)
        again = await speaker.joined(2)
        there = await listener.joined(2)
        await received(there, {"audio": 20, "video": 5})
        assert again.state.info is not None and participant is not None
        assert again.state.info.participant == participant.participant
        await eventually(lambda: set(theirs.seen) - seen_before, 60)
        room = await admin.request("GET", f"/meetings/{meeting}/room")
        assert room["live"] and room["node"] != first and room["recording"]
        await received(there, {"audio": 170, "video": 80})
        await admin.stop_recording(meeting)
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    async with asyncio.timeout(60):
        while (kept := (await admin.recordings(meeting))["recordings"])[0]["state"] not in {"ready", "partial"}:
            await asyncio.sleep(0.2)
    assert len(kept) == 1
    [manifest] = [json.loads(path.read_text()) for path in (server.data / "recordings").glob("*/manifest.json")]
    # Each node gave the camera a separate track; together they form one recording.
    cameras = [track for track in manifest["tracks"] if track["source"] == "camera"]
    assert len(cameras) == 2
    assert all(track["duration_ms"] > 1000 for track in cameras)
    assert {track["participant"] for track in manifest["tracks"]} == {participant.participant}
