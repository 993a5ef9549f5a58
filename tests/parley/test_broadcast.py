"""A meeting goes out live: an RTMP server gets it, again after it was away, and players read HLS meanwhile."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import av

from parley_client import Api
from tests.sfu.server.test_whip import MUXER
from tests.support.call import become_admin
from tests.support.hls_rules import parsed, problems
from tests.support.server import running_server

LISTENER = Path(__file__).with_name("broadcast_listener.py")
KEY = "live_key-that_nobody_sees"
BLOCKS_SECONDS = 3.0
"""An answer without the part that was asked for comes after more than this."""


async def test_a_meeting_goes_out_to_servers_and_to_players(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_server(private_broadcasts="true", inference="false") as server:
        async with Api(server.url) as host, contextlib.AsyncExitStack() as running:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("On air", consent="implied")
            key = await host.request("POST", f"/meetings/{meeting}/stream-keys", {"name": "Van", "role": "publish"})
            await running.enter_async_context(_process(str(MUXER), f"{server.url}/whip", key["secret"], "60"))
            base, url = f"/meetings/{meeting}/broadcast", f"rtmp://127.0.0.1:{port}/live"
            rtmp = {"kind": "rtmp", "name": "Stage", "url": url, "key": KEY}
            await host.request("POST", f"{base}/outputs", rtmp)
            state = await host.request("POST", f"{base}/outputs", {"kind": "hls", "name": "Web"})
            srt = {"kind": "srt", "name": "Van", "url": f"srt://127.0.0.1:{port}?passphrase={KEY}", "key": KEY}
            await host.request("POST", f"{base}/outputs", srt)
            received = tmp_path / "received.ts"
            sink = f"srtsrc uri=srt://127.0.0.1:{port}?mode=listener passphrase={KEY} ! filesink location={received}"
            await running.enter_async_context(_process("-q", *sink.split(), program="gst-launch-1.0"))
            async with _process(str(LISTENER), f"{url}/{KEY}") as listener:
                await host.request("POST", f"{base}/start", {"layout": "single"})
                await _shown(listener)
            await _until(host, base, lambda live: live["outputs"][0]["phase"] == "retrying")
            await _until_playable(server.url + state["outputs"][1]["watch_url"])
            await _reload_as_players_do(server.url + state["outputs"][1]["watch_url"])
            assert await asyncio.to_thread(_read, server.url + state["outputs"][1]["watch_url"]) > 30
            async with _process(str(LISTENER), f"{url}/{KEY}") as listener:
                await _shown(listener)
            live = await host.request("GET", base)
            assert all(live["outputs"][index]["delay_ms"] < 10_000 for index in (0, 2))
            assert live["outputs"][2]["dropped"] == 0
            assert KEY not in str(live)
            await host.request("POST", f"{base}/stop", {})
            with av.open(received) as container:
                assert sum(1 for _ in container.decode(video=0)) > 30
        assert not [line for line in server.lines if KEY in line or "Traceback" in line]


@contextlib.asynccontextmanager
async def _process(*command: str, program: str = sys.executable) -> Any:
    process = await asyncio.create_subprocess_exec(program, *command, stdout=-1, stderr=-3)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def _shown(listener: asyncio.subprocess.Process) -> None:
    """Wait until pictures change, as the publisher's do, and there is sound."""
    assert listener.stdout is not None
    seen: set[bytes] = set()
    async with asyncio.timeout(60):
        while len(seen) < 10 or b"sound\n" not in seen:
            line = await listener.stdout.readline()
            assert line
            assert line == b"sound\n" or line.endswith(b" 1280 720\n")
            seen.add(line)


async def _until(host: Api, base: str, holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds(await host.request("GET", base)):
            await asyncio.sleep(0.2)


async def _until_playable(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            async with session.get(url) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.2)


def _faults(*playlists: str) -> list[str]:
    """Return the broken rules, but for parts that are longer since a loaded machine composes pictures late."""
    return [fault for fault in problems(*playlists) if "the target is" not in fault]


def _has_part(playlist: str, segment: int, part: int) -> bool:
    return any(one.number == segment and len(one.parts) > part for one in parsed(playlist).segments)


def _has_whole(playlist: str, segment: int) -> bool:
    return any(one.number == segment and one.uri for one in parsed(playlist).segments)


async def _reload_as_players_do(url: str) -> None:
    """Reload part by part; each answer comes when it has the part, and keeps the rules. So does that for the hint."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):

        async def playlist(**wanted: int | str) -> tuple[int, str]:
            asked = {f"_HLS_{name}": str(value) for name, value in wanted.items()}
            async with session.get(url, params=asked) as answer:
                return answer.status, await answer.text()

        async def awaited(holds: Callable[[str], bool], **wanted: int) -> str:
            """Ask again as players do if the answer came without the part, since a loaded machine composes late."""
            while True:
                began = time.monotonic()
                status, newer = await playlist(**wanted)
                assert status == 200
                if holds(newer):
                    return newer
                assert time.monotonic() - began > BLOCKS_SECONDS, "it did not wait for the part"

        _, text = await playlist()
        assert _faults(text) == []
        for _ in range(6):
            last = parsed(text).segments[-1]
            segment, part = (last.number + 1, 0) if last.uri else (last.number, len(last.parts))
            newer = await awaited(partial(_has_part, segment=segment, part=part), msn=segment, part=part)
            assert _faults(newer, text) == []
            text = newer
        # A part that the segment lacks is the first of the next one.
        await awaited(partial(_has_part, segment=segment + 1, part=0), msn=segment, part=99)
        text = await awaited(partial(_has_whole, segment=segment + 1), msn=segment + 1)
        hinted = parsed(text).attributes("PRELOAD-HINT")["URI"]
        async with session.get(url.rpartition("/")[0] + f"/{hinted}") as answer:
            assert (answer.status, (await answer.read())[4:8]) == (200, b"moof")
        for wanted in ({"msn": segment + 50}, {"part": 1}, {"msn": "x"}):
            assert (await playlist(**wanted))[0] == 400, wanted


def _read(url: str) -> int:
    """Return how many pictures a player gets until it has sound as well."""
    pictures = sounds = 0
    with av.open(url, timeout=30) as container:
        for packet in container.demux():
            for frame in packet.decode():
                pictures += isinstance(frame, av.VideoFrame)
                sounds += isinstance(frame, av.AudioFrame)
            if pictures > 30 and sounds > 30:
                break
    return pictures
