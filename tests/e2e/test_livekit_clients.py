"""LiveKit's SDK and a client of ours in one meeting: both see, hear and read each other, and a host moderates."""

import asyncio
from typing import Any

from livekit import api
from livekit.rtc import DisconnectReason

from parley_client import Room
from sfu.api import signaling
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from tests.e2e.conftest import Deployment
from tests.support.call import received, send
from tests.support.encoders import encode
from tests.support.livekit_client import KEY, SECRET, LiveKitClient, access_token, livekit_client
from tests.support.waiting import eventually


def read_all(reader: Any, who: str, read: list[str]) -> None:
    """Note a text once it is complete."""

    async def note() -> None:
        read.append(f"{who}: {await reader.read_all()}")

    _READING.add(asyncio.create_task(note()))


_READING: set[asyncio.Task[None]] = set()


async def test_a_livekit_client_meets_one_of_ours(deployment: Deployment) -> None:
    admin = deployment.admin
    meeting = await admin.create_meeting("Both")
    invitation = await admin.join(meeting, "Ours")
    url = deployment.plain_url
    encode(Codec.VP8)  # takes most of a second, in which the SDK's events would wait
    async with (
        Room(admin.signaling_url(invitation), token=invitation.token, verify_tls=False, data=True) as ours,
        livekit_client(url, access_token("ada", meeting, metadata="about ada"), one_peer=True) as theirs,
    ):
        camera, microphone = await ours.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
        sending = asyncio.create_task(send(camera, microphone))
        await theirs.publish()
        await received(ours, {"audio": 20, "video": 5})
        await eventually(lambda: theirs.seen and theirs.heard, 30)

        ada = next(info for info in ours.state.participants.values() if info.identity == "ada")
        assert (ada.name, ada.metadata) == ("Ada", "about ada")
        (remote,) = theirs.room.remote_participants.values()
        assert remote.name == "Ours"
        assert {track.source for track in ours.state.tracks.values() if track.participant == ada.participant} == {
            Source.CAMERA,
            Source.MICROPHONE,
        }

        await theirs.room.local_participant.publish_data(b"to all", topic="said")
        await eventually(lambda: ours.heard, 30)
        message, reliable = ours.heard[0]
        assert (message.payload, message.topic, message.names, reliable) == (
            b"to all",
            "said",
            (ada.participant,),
            True,
        )
        ours.say(b"to ada", ada.participant, topic="answered")
        await eventually(lambda: theirs.data, 30)
        assert theirs.data == [(remote.identity, b"to ada", "answered")]

        read: list[str] = []
        theirs.room.register_text_stream_handler("lk.chat", lambda reader, who: read_all(reader, who, read))
        await ours.send(signaling.Chat(text="Hello Ada"))
        await eventually(lambda: read == [f"{remote.identity}: Hello Ada"], 30)
        await theirs.room.local_participant.send_text("Hello to you", topic="lk.chat")
        await eventually(
            lambda: [(chat.name, chat.text) for chat in ours.state.chats][-1:] == [("Ada", "Hello to you")]
        )

        path = f"/meetings/{meeting}/participants/{ada.participant}"
        await admin.request("POST", f"{path}/mute", {"muted": ["microphone"]})
        await eventually(lambda: any(name == "track_muted" for name, _ in theirs.events), 30)
        await admin.request("POST", f"{path}/remove", {})
        await eventually(lambda: ("disconnected", DisconnectReason.PARTICIPANT_REMOVED) in theirs.events, 30)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _meet_in(room: str, sender: LiveKitClient, receiver: LiveKitClient) -> None:
    """Both clients are in a room of this name, in which one sees what the other publishes."""
    await eventually(lambda: (sender.room.name, receiver.room.name) == (room, room), 30)
    await eventually(lambda: "bob" in sender.room.remote_participants, 30)
    await eventually(lambda: "ada" in receiver.room.remote_participants, 30)
    seen = sum(receiver.seen.values())
    await eventually(lambda: sum(receiver.seen.values()) > seen + 5, 30)


async def test_livekit_clients_are_moved_to_other_rooms(deployment: Deployment) -> None:
    """To a breakout room and back by a host, and to another room by an application."""
    url, admin = deployment.plain_url, deployment.admin
    meeting = await admin.create_meeting("Workshop")
    async with (
        livekit_client(url, access_token("ada", meeting), one_peer=True) as ada,
        livekit_client(url, access_token("bob", meeting)) as bob,
        api.LiveKitAPI(url, KEY, SECRET) as server,
    ):
        moved: list[str] = []
        bob.room.on("moved", lambda *_: moved.append(bob.room.name))
        await ada.publish()
        await _meet_in(meeting, ada, bob)

        listed = await admin.request("GET", f"/meetings/{meeting}/participants")
        people = [one["participant"] for one in listed["participants"]]
        wanted = {"rooms": [{"title": "Room 1", "participants": people}]}
        await admin.request("POST", f"/meetings/{meeting}/breakouts", wanted)
        await admin.request("POST", f"/meetings/{meeting}/breakouts/open")
        await _meet_in("Room 1", ada, bob)
        await admin.request("POST", f"/meetings/{meeting}/breakouts/close", {"countdown_seconds": 0})
        await _meet_in(meeting, ada, bob)

        await server.room.create_room(api.CreateRoomRequest(name="Elsewhere"))
        may = api.VideoGrants(room_admin=True, room=meeting, destination_room="Elsewhere")
        async with api.LiveKitAPI(url, token=api.AccessToken(KEY, SECRET).with_grants(may).to_jwt()) as mover:
            for who in ("ada", "bob"):
                asked = api.MoveParticipantRequest(room=meeting, identity=who, destination_room="Elsewhere")
                await mover.room.move_participant(asked)
        await _meet_in("Elsewhere", ada, bob)
        assert moved == ["Room 1", "Workshop", "Elsewhere"]
