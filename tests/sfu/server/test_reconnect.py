"""Lost sockets: a resume within the grace period keeps everything; later, the participant has left."""

from pathlib import Path

import pytest

from sfu.api import signaling
from tests.sfu.server.aiortc_caller import Caller
from tests.sfu.server.harness import client, host
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


async def test_a_resume_keeps_participant_tracks_and_media(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "bob")) as bob:
        watcher = Caller(bob)
        async with client(h, h.control.token("r", "ann")) as ann:
            info = await ann.until(signaling.RoomInfo)
            caller = Caller(ann)
            try:
                tracks = await caller.publish_both()
                await eventually(lambda: watcher.frames_of(tracks["camera"]) > 5, 30)
                await ann.connection.close(4000)
                lost = await bob.until(signaling.ParticipantUpdated, lambda m: not m.participant.connected)
                assert lost.participant.participant == "ann"
                frames = watcher.frames_of(tracks["camera"])
                await eventually(lambda: watcher.frames_of(tracks["camera"]) > frames + 5, 30)
                async with client(h, None, resume=info.resume) as again:
                    resumed = await again.until(signaling.RoomInfo)
                    assert resumed.resumed
                    assert resumed.participant == "ann"
                    assert {t.track for t in resumed.tracks} == set(tracks.values())
                    await again.until(signaling.Slots)
                    await bob.until(signaling.ParticipantUpdated, lambda m: m.participant.connected)
            finally:
                await caller.close()
                await watcher.close()


async def test_without_a_resume_the_participant_is_gone(tmp_path: Path) -> None:
    async with host(tmp_path, resume_seconds=0.5) as h, client(h, h.control.token("r", "bob")) as bob:
        await bob.until(signaling.RoomInfo)
        async with client(h, h.control.token("r", "ann")) as ann:
            resume = (await ann.until(signaling.RoomInfo)).resume
        left = await bob.until(signaling.ParticipantLeft)
        assert (left.participant, left.reason) == ("ann", "timeout")
        async with client(h, None, resume=resume) as again:
            assert (await again.until(signaling.Error)).code == "unknown_session"


async def test_a_resume_takes_over_from_a_socket_that_is_still_open(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as first:
        resume = (await first.until(signaling.RoomInfo)).resume
        async with client(h, None, resume=resume) as second:
            assert (await second.until(signaling.RoomInfo)).resumed
            assert (await first.until(signaling.Error)).code == "replaced"
            await first.closed()
            await second.send(signaling.Ping(id=3))
            await second.until(signaling.Pong)
            assert list(h.node.rooms["r"].participants) == ["ann"]


async def test_a_new_token_of_the_same_participant_starts_afresh(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as first:
        await first.until(signaling.RoomInfo)
        async with client(h, h.control.token("r", "ann")) as second:
            info = await second.until(signaling.RoomInfo)
            assert not info.resumed
            assert len(info.participants) == 1
            assert (await first.until(signaling.Error)).code == "replaced"
        assert h.control.kinds().count("ParticipantJoined") <= 1


async def test_clients_are_told_of_a_shutdown(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        await h.server.stop()
        assert (await ann.until(signaling.Error)).code == "shutdown"
        assert await ann.closed() == 1012
        assert h.control.kinds()[-2:] == ["ParticipantLeft", "RoomClosed"]
