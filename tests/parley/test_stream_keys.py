"""An encoder that is configured once: FFmpeg connects with a stream key repeatedly, until the key is deleted."""

import asyncio
import sys

import aiohttp

from parley_client import Api, Room
from sfu.machines.ice.lite import generate_credentials
from tests.sfu.rooms.stage import AUDIO, description
from tests.sfu.server.test_whip import MUXER
from tests.support.call import become_admin
from tests.support.server import RunningServer, running_server


async def test_ffmpeg_and_a_player_come_by_keys_until_these_are_deleted() -> None:
    with running_server() as server:
        async with Api(server.url) as host:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("On air", lobby=True)
            path = f"/meetings/{meeting}/stream-keys"
            camera = await host.request("POST", path, {"name": "Camera van", "role": "publish"})
            wall = await host.request("POST", path, {"name": "Wall", "role": "watch"})
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                assert await _play(server, wall["secret"]) == await _play(server, wall["secret"]) == 201
                for seconds in ("2", "2", "60"):
                    encoder = await _ffmpeg(server, camera["secret"], seconds)
                    await room.until(lambda: len(room.state.tracks) == 2, 30)
                    if seconds == "2":
                        assert await encoder.wait() == 0
                        await room.until(lambda: not room.state.tracks, 30)
                names = [entry.name for entry in room.state.participants.values()]
                assert sorted(names) == ["Camera van", "Host", "Wall", "Wall"]
                for key in (camera, wall):
                    await host.request("DELETE", f"{path}/{key['id']}")
                await room.until(lambda: len(room.state.participants) == 1, 30)
                encoder.kill()
                await encoder.wait()
                assert await _play(server, wall["secret"]) == 401


async def _ffmpeg(server: RunningServer, key: str, seconds: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, MUXER, f"{server.url}/whip", key, seconds)


async def _play(server: RunningServer, key: str) -> int:
    """Offer to play, with nobody behind it; return the status."""
    offer = description(generate_credentials(), [AUDIO.replace("sendonly", "recvonly")], "actpass")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/whep", data=offer, headers=headers) as answer,
    ):
        return answer.status
