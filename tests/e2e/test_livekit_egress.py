"""An application orders files of a room with LiveKit's server SDK, and gets them."""

from typing import Any

import pytest
from livekit import api

from tests.e2e.conftest import Deployment
from tests.support.livekit_client import KEY, SECRET, access_token, livekit_client
from tests.support.waiting import eventually

ROOM = "Filmed"


async def refused(call: Any) -> str:
    """Return the code of the refusal of a call."""
    with pytest.raises(api.TwirpError) as caught:
        await call
    return str(caught.value.code)


async def test_an_application_gets_files_of_its_room(deployment: Deployment) -> None:
    url = deployment.plain_url
    consents = {"attributes": {"parley.consent": "recording"}}
    file = api.EncodedFileOutput(filepath="meeting.mp4")
    async with (
        api.LiveKitAPI(url, KEY, SECRET) as server,
        livekit_client(url, access_token("ada", ROOM, **consents)) as ada,
        livekit_client(url, access_token("bob", ROOM)) as bob,
    ):
        egress = server.egress
        nowhere = api.RoomCompositeEgressRequest(room_name="nowhere", file_outputs=[file])
        assert await refused(egress.start_room_composite_egress(nowhere)) == "not_found"
        bucket = api.EncodedFileOutput(filepath="meeting.mp4", gcp=api.GCPUpload(bucket="elsewhere"))
        uploaded = api.RoomCompositeEgressRequest(room_name=ROOM, file_outputs=[bucket])
        assert await refused(egress.start_room_composite_egress(uploaded)) == "invalid_argument"  # no credentials

        await ada.publish()
        await eventually(lambda: bob.heard and bob.seen, 30)
        (heard,) = bob.heard
        room = await egress.start_room_composite_egress(
            api.RoomCompositeEgressRequest(room_name=ROOM, layout="speaker", file_outputs=[file])
        )
        track = await egress.start_track_egress(
            api.TrackEgressRequest(room_name=ROOM, track_id=heard, file=api.DirectFileOutput(filepath="tone.m4a"))
        )
        assert [room.status, track.status] == [api.EgressStatus.EGRESS_ACTIVE] * 2
        seen = sum(bob.seen.values())
        await eventually(lambda: sum(bob.seen.values()) > seen + 40, 30)

        for started in (track, room):
            ended = await egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
            assert ended.status == api.EgressStatus.EGRESS_ENDING
        assert (
            await refused(egress.stop_egress(api.StopEgressRequest(egress_id=room.egress_id))) == "failed_precondition"
        )

        async def files() -> dict[str, api.FileInfo]:
            listed = await egress.list_egress(api.ListEgressRequest(room_name=ROOM))
            assert not [one.error for one in listed.items if one.error]
            return {result.filename: result for one in listed.items for result in one.file_results}

        async def both() -> dict[str, api.FileInfo] | None:
            return found if len(found := await files()) == 2 else None

        found = await eventually(both, 90)
        assert 500_000_000 < found["tone.m4a"].duration < found["meeting.mp4"].duration + 2_000_000_000
        content = await deployment.admin.download(found["meeting.mp4"].location.removeprefix("/api/v1"))
        assert (len(content), content[4:8]) == (found["meeting.mp4"].size, b"ftyp")
        assert not (await egress.list_egress(api.ListEgressRequest(room_name=ROOM, active=True))).items
