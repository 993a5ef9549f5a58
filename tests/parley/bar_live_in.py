"""Bar: what an encoder sends by RTMP or SRT is seen in the call at most 1.5 s after the encoder has connected.

    .venv/bin/pytest -q -s tests/parley/bar_live_in.py

FFmpeg sends 720p30 by x264 with B-frames, and AAC of 44.1 or 48 kHz; GStreamer brings it into SRT. The time begins with
the programs, and so has their own share: loading, connecting and the encoder's look-ahead.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator

import pytest

from parley.network import allocate_port
from parley_client import Api, Room
from tests.parley.test_ingress import ENCODER
from tests.support.call import become_admin
from tests.support.server import running_server
from tests.support.waiting import eventually

RUNS = 5
MOST = 1.5
PIPE = "fdsrc ! tsparse ! srtsink uri=srt://127.0.0.1:{port} streamid={key}"


@pytest.mark.parametrize(("protocol", "rate"), [("rtmp", 44100), ("rtmp", 48000), ("srt", 44100), ("srt", 48000)])
async def test_an_encoder_is_soon_seen(protocol: str, rate: int) -> None:
    port = allocate_port(kind=socket.SOCK_DGRAM)
    settings = {"ingress": "true", "inference": "false", "srt_port": str(port)}
    taken: list[tuple[float, float]] = []
    with running_server(**settings) as server:
        async with Api(server.url) as host:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("Live in")
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                for number in range(RUNS):
                    keys = f"/meetings/{meeting}/stream-keys"
                    key = await host.request("POST", keys, {"name": f"Stage {number}", "role": "publish"})
                    url = f"{key['rtmp_urls'][0]}/{key['secret']}"
                    pipe = PIPE.format(port=port, key=key["secret"]) if protocol == "srt" else ""
                    async with _sending(url, str(rate), pipe):
                        taken.append(await _seen(room))
                    await eventually(lambda: not room.state.tracks, 60)
    sounds, pictures = (sorted(round(value, 2) for value in values) for values in zip(*taken, strict=True))
    print(f"\n{protocol}, {rate} Hz: first sound after {sounds} s, first picture after {pictures} s")
    assert statistics.median(pictures) <= MOST


async def _seen(room: Room) -> tuple[float, float]:
    """Return the seconds until the first packet of sound and the first whole picture have arrived."""
    began = time.monotonic()
    first: dict[str, float] = {}
    while len(first) < 2:
        assert time.monotonic() - began < 30, first
        for track in room.state.tracks:
            stream = room.stream_of(track)
            if stream is not None and stream.frame_count:
                first.setdefault(stream.kind, time.monotonic() - began)
        await asyncio.sleep(0.005)
    return first["audio"], first["video"]


@contextlib.asynccontextmanager
async def _sending(url: str, rate: str, pipe: str) -> AsyncIterator[None]:
    """Send to an RTMP address, or through a pipeline of GStreamer."""
    encoder = shlex.join([sys.executable, str(ENCODER), "-" if pipe else url, "60", rate, "720"])
    command = f"{encoder} | gst-launch-1.0 -q {pipe}" if pipe else encoder
    process = await asyncio.create_subprocess_shell(command, stderr=-3, start_new_session=True)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
