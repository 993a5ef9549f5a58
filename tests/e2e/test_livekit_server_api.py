"""An application's server manages a room of LiveKit's clients with LiveKit's server SDK."""

import aiohttp
import pytest
from livekit import api, rtc
from livekit.rtc import DataTrackFrame, DisconnectReason

from tests.e2e.conftest import Deployment
from tests.support.livekit_client import access_token, livekit_client
from tests.support.waiting import eventually

ROOM = "Governed"


async def test_an_application_governs_its_room(deployment: Deployment) -> None:
    """All tokens are signed with a key that an administrator makes, and revokes in the end."""
    url = deployment.plain_url
    key = await deployment.admin.request("POST", "/admin/livekit-keys", {"name": "Governor"})
    signed = {"key": key["id"], "secret": key["secret"]}
    may = {"video": {"canUpdateOwnMetadata": True}}
    async with (
        api.LiveKitAPI(url, key["id"], key["secret"]) as server,
        livekit_client(url, access_token("ada", ROOM, **signed, **may)) as ada,
        livekit_client(url, access_token("bob", ROOM, **signed)) as bob,
    ):
        rooms = server.room
        await ada.publish()
        await eventually(lambda: bob.heard and bob.seen, 30)
        listed = await rooms.list_participants(api.ListParticipantsRequest(room=ROOM))
        tracks = {person.identity: [track.name for track in person.tracks] for person in listed.participants}
        assert tracks == {"ada": ["tone", "picture"], "bob": []}
        (room,) = (await rooms.list_rooms(api.ListRoomsRequest(names=[ROOM]))).rooms
        assert (room.num_participants, room.num_publishers) == (2, 1)

        frames: list[bytes] = []
        bob.room.on("data_track_published", lambda track: bob.follow(track, frames))
        lidar = await ada.room.local_participant.publish_data_track(name="lidar")
        cloud = bytes(5000)  # several packets
        await eventually(lambda: lidar.try_push(DataTrackFrame(payload=cloud)) or cloud in frames, 30)
        await lidar.unpublish()

        microphone = next(track for person in listed.participants for track in person.tracks if track.name == "tone")
        await rooms.mute_published_track(
            api.MuteRoomTrackRequest(room=ROOM, identity="ada", track_sid=microphone.sid, muted=True)
        )
        await eventually(lambda: any(name == "track_muted" for name, _ in ada.events), 30)
        await eventually(lambda: any(name == "track_muted" for name, _ in bob.events), 30)

        await bob.connect_for_data()
        admin = access_token("", ROOM, **signed, video={"roomAdmin": True, "room": ROOM})
        await _call(url, admin, bob.room)

        for sid in list(bob.seen):
            await rooms.update_subscriptions(
                api.UpdateSubscriptionsRequest(room=ROOM, identity="bob", track_sids=[sid], subscribe=False)
            )
        updated = await rooms.update_participant(
            api.UpdateParticipantRequest(
                room=ROOM, identity="bob", name="Bobby", metadata="about", permission=api.ParticipantPermission()
            )
        )
        assert (updated.name, updated.metadata, updated.permission.can_publish) == ("Bobby", "about", False)
        await eventually(lambda: [who.name for who in ada.room.remote_participants.values()] == ["Bobby"], 30)
        await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room=ROOM, metadata="agenda"))
        await eventually(lambda: ada.room.metadata == "agenda", 30)
        await rooms.send_data(api.SendDataRequest(room=ROOM, data=b"to ada", topic="t", destination_identities=["ada"]))
        await eventually(lambda: ada.data == [("", b"to ada", "t")], 30)

        await rooms.remove_participant(api.RoomParticipantIdentity(room=ROOM, identity="bob"))
        await eventually(lambda: ("disconnected", DisconnectReason.PARTICIPANT_REMOVED) in bob.events, 30)
        async with livekit_client(url, access_token("bob", ROOM, **signed)) as again:
            await eventually(lambda: again.room.remote_participants, 30)
            assert again.room.metadata == "agenda"
            await rooms.delete_room(api.DeleteRoomRequest(room=ROOM))
            await eventually(lambda: ("disconnected", DisconnectReason.ROOM_DELETED) in again.events, 30)
        await deployment.admin.request("DELETE", f"/admin/livekit-keys/{key['id']}")
        with pytest.raises(rtc.ConnectError, match="invalid API key"):
            await rtc.Room().connect(url, access_token("bob", ROOM, **signed))


async def _call(url: str, token: str, callee: rtc.Room) -> None:
    """Call methods of a client: one that answers, one that fails, and one that it does not have.

    LiveKit's SDK for Python has no method for it yet.
    """

    async def greet(asked: rtc.RpcInvocationData) -> str:
        if not asked.payload:
            raise rtc.RpcError(7, "whom?", "nobody")
        return f"Hello, {asked.payload}"

    assert callee.local_participant.register_rpc_method("greet", greet)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def called(**wish: str) -> tuple[int, dict[str, str]]:
            wish = {"room": ROOM, "destinationIdentity": "bob", "method": "greet"} | wish
            async with session.post(f"{url}/twirp/livekit.RoomService/PerformRpc", json=wish) as answer:
                return answer.status, await answer.json()

        assert await called(payload="Ada") == (200, {"payload": "Hello, Ada"})
        for wish, status, code, said in (
            ({"payload": ""}, 500, "internal", "RpcError 7: whom?: nobody"),
            ({"method": "sing"}, 400, "invalid_argument", "RpcError 1400"),
            ({"destinationIdentity": "eve"}, 404, "not_found", "participant does not exist"),
            ({"destinationIdentity": ""}, 400, "invalid_argument", "destination identity is required"),
            ({"payload": "x" * 15_361}, 400, "malformed", "RpcError 1402"),
        ):
            refused = await called(**wish)
            assert (refused[0], refused[1]["code"]) == (status, code)
            assert said in refused[1]["msg"]
