"""Clients of other standards through control: plain transports with FFmpeg, audited; a WHEP player and its events."""

import asyncio
import json
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

import tests.sfu.server.ffmpeg_rtp as ffmpeg_rtp
from parley_client import Api, Room
from parley_client.api import ApiError
from sfu.machines.ice.lite import generate_credentials
from tests.sfu.rooms.stage import VIDEO, description
from tests.support.call import become_admin
from tests.support.server import running_server
from tests.support.waiting import eventually

TELEPHONE = {"source": "microphone", "codec": "PCMU", "payload_type": 0}
CAMERA = {"source": "camera", "codec": "VP8", "payload_type": 96}


async def test_a_picture_comes_in_and_goes_out(tmp_path: Path) -> None:
    with running_server(
        transport_networks="127.0.0.0/8", turn_urls="turn:turn.example.org", turn_secret="x" * 32
    ) as server:
        async with Api(server.url) as host, Api(server.url) as guest:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("With a camera")
            transports = f"/meetings/{meeting}/transports"
            joined, visitor = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                incoming = await host.request(
                    "POST", f"{transports}/receive", {"name": "Hall", "tracks": [CAMERA], "srtp": {}}
                )
                assert len(incoming["srtp"]["key"]) == 40
                await host.request("DELETE", f"{transports}/{incoming['transport']}")
                incoming = await host.request("POST", f"{transports}/receive", {"name": "Hall", "tracks": [CAMERA]})
                who, track = incoming["participant"], incoming["tracks"][0]["track"]
                await room.until(lambda: track in room.state.tracks)
                assert room.state.participants[who].name == "Hall"
                sender = await _ffmpeg("send", str(incoming["port"]), "60", "video", "96")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = probe.getsockname()[1]
                wish = {"name": "Studio", "of": who, "source": "camera", "address": "127.0.0.1", "port": port}
                outgoing = await host.request("POST", f"{transports}/send", wish | {"keyframe_seconds": 1})
                description = tmp_path / "studio.sdp"
                description.write_text(outgoing["sdp"])
                receiver = await _ffmpeg("receive", str(description), "30")
                try:
                    async with asyncio.timeout(40):
                        out, _ = await receiver.communicate()
                    assert len({round(mean) for mean in json.loads(out)}) > 15
                    listed = (await host.request("GET", transports))["transports"]
                    assert {entry["direction"] for entry in listed} == {"send", "receive"}
                    assert all(entry["tracks"][0]["packets"] > 0 for entry in listed)
                    with pytest.raises(ApiError, match="not_permitted"):
                        await host.request("POST", f"{transports}/send", wish | {"address": "10.0.0.1"})
                    with pytest.raises(ApiError, match="not_found"):
                        await host.request(
                            "POST", f"{transports}/send", wish | {"participant": visitor.participant[:-1]}
                        )
                    await host.request("DELETE", f"{transports}/{incoming['transport']}")
                    await room.until(lambda: who not in room.state.participants)
                finally:
                    for process in (sender, receiver):
                        if process.returncode is None:
                            process.kill()
                        await process.communicate()
                await _play(server.url, visitor.token)
                acts = (await host.request("GET", "/admin/audit"))["entries"]
                done = [entry for entry in acts if entry["action"].startswith("transport.")]
                assert [entry["action"] for entry in done].count("transport.opened") == 3
                assert any(f"127.0.0.1 port {port}" in json.dumps(entry["detail"]) for entry in done)


async def test_a_telephone_speaks_and_another_one_hears_it(tmp_path: Path) -> None:
    """FFmpeg acts as both telephones; an Opus track of the meeting connects them."""
    with running_server(transport_networks="127.0.0.0/8") as server:
        async with Api(server.url) as host:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("By telephone")
            transports = f"/meetings/{meeting}/transports"
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                caller = await host.request("POST", f"{transports}/receive", {"name": "Caller", "tracks": [TELEPHONE]})
                who, track = caller["participant"], caller["tracks"][0]["track"]
                await room.until(lambda: track in room.state.tracks, 30)
                assert room.state.tracks[track].codec == "opus"
                speaker = await _ffmpeg("send", str(caller["port"]), "60", "phone", "0")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = probe.getsockname()[1]
                wish = {"name": "Callee", "of": who, "source": "microphone", "address": "127.0.0.1", "port": port}
                callee = await host.request("POST", f"{transports}/send", wish | {"codec": "G722"})
                description = tmp_path / "callee.sdp"
                description.write_text(callee["sdp"])
                listener = await _ffmpeg("receive", str(description), "60")
                try:
                    await eventually(lambda: (s := room.stream_of(track)) is not None and s.frame_count > 50, 60)
                    async with asyncio.timeout(60):
                        out, _ = await listener.communicate()
                    means = json.loads(out)
                    assert sum(mean > 2500 for mean in means) > 40  # a sine of 8000 has a mean of 5093
                finally:
                    for process in (speaker, listener):
                        if process.returncode is None:
                            process.kill()
                        await process.communicate()


async def _play(url: str, token: str) -> None:
    """A player is told of ICE servers and, by events through control, of what it is shown."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        sdp = {"Content-Type": "application/sdp"}
        offer = description(generate_credentials(), [VIDEO.replace("sendonly", "recvonly")], "actpass")
        async with http.post(f"{url}/whep", data=offer, headers=sdp) as made:
            assert made.status == 201
            links, location = made.headers["Link"], made.headers["Location"]
        assert '<turn:turn.example.org>; rel="ice-server"; username="' in links
        assert f'<{location}/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"' in links
        async with http.get(f"{url}{location}/layer") as layers:
            assert layers.status == 200
        json_body = {"Content-Type": "application/json"}
        async with http.post(f"{url}{location}/events", data="[]", headers=json_body) as subscribed:
            events = subscribed.headers["Location"]
        async with aiohttp.ClientSession() as anybody, anybody.get(url + events) as stream:
            async with asyncio.timeout(30):
                assert (await stream.content.readline()).startswith(b"event: ")
        async with http.delete(url + location) as ended:
            assert ended.status == 200


async def _ffmpeg(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(ffmpeg_rtp.__file__), *arguments, stdout=asyncio.subprocess.PIPE
    )
