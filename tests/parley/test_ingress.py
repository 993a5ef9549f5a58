"""Ingress over RTMP, with B-frames and 44.1 kHz, over SRT, and from a URL; audio and video are in sync."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import av
import numpy as np
from aiohttp import web

from parley.network import allocate_port
from parley_client import Api, Room
from parley_client.subscribing import ReceivedStream
from tests.support.call import become_admin
from tests.support.recorded import manifest_of
from tests.support.server import running_server
from tests.support.waiting import eventually

ENCODER = Path(__file__).with_name("rtmp_encoder.py")


async def test_an_encoder_and_a_url_are_participants(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    await _encode(str(clip), "2", "48000")
    await _encode(str(tmp_path / "clip.ts"), "4", "48000")
    port = allocate_port(kind=socket.SOCK_DGRAM)
    settings = {"ingress": "true", "inference": "false", "private_ingress": "true", "srt_port": str(port)}
    with running_server(**settings) as server:
        async with Api(server.url) as host, _served(tmp_path) as url:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("Live in", consent="implied")
            keys = f"/meetings/{meeting}/stream-keys"
            key = await host.request("POST", keys, {"name": "Stage", "role": "publish"})
            (address,) = key["rtmp_urls"]
            assert await _encode(f"{address}/stream_{'x' * 43}", "1", "44100") != 0
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token, keep_frames=True) as room:
                await host.start_recording(meeting)
                encoding = asyncio.create_task(_encode(f"{address}/{key['secret']}", "6", "44100"))
                await eventually(lambda: len(room.state.tracks) == 2, 60)
                (stage,) = [one for one in room.state.participants.values() if one.name == "Stage"]
                assert stage.kind == "ingress"
                await eventually(lambda: all(room.stream_of(track) for track in room.state.tracks), 60)
                streams = [room.stream_of(track) for track in room.state.tracks]
                assert await encoding == 0
                _received_in_step([stream for stream in streams if stream is not None])
                await eventually(lambda: not room.state.tracks, 60)
                source = {"name": "Clip", "role": "publish", "source_url": f"{url}/clip.mp4?token=secret"}
                read = await host.request("POST", keys, source)
                assert read["source_url"] == f"{url}/clip.mp4"
                await _until(host, keys, read["id"], "ended")
                van = await host.request("POST", keys, {"name": "Van", "role": "publish"})
                assert await _sent_over_srt(tmp_path / "clip.ts", port, van["secret"])
                await host.stop_recording(meeting)
            states = {one["name"]: one["state"] for one in (await host.request("GET", keys))["keys"]}
            assert (states["Stage"]["width"], states["Stage"]["height"]) == (640, 360)
            assert [states[name]["error"] for name in ("Stage", "Clip", "Van")] == [""] * 3
            assert (states["Van"]["protocol"], states["Van"]["height"], states["Van"]["dropped"]) == ("srt", 360, 0)
            _recorded_in_step(await _finished(host, meeting, server.data / "recordings"))
        secrets = (key["secret"], van["secret"], "?token=secret", "Traceback")
        assert not [line for line in server.lines if any(secret in line for secret in secrets)]


async def _encode(*arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, str(ENCODER), *arguments, stderr=-3)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _sent_over_srt(clip: Path, port: int, key: str) -> bool:
    """Send a file by libsrt at its own speed; return whether it was accepted to the end."""
    pipeline = f"filesrc location={clip} ! tsparse set-timestamps=true ! identity sync=true ! srtsink"
    options = (f"uri=srt://127.0.0.1:{port}", f"streamid={key}", "wait-for-connection=true")
    process = await asyncio.create_subprocess_exec("gst-launch-1.0", "-q", *pipeline.split(), *options, stderr=-1)
    try:
        async with asyncio.timeout(60):
            _, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0 and b"ERROR" not in complaints


@contextlib.asynccontextmanager
async def _served(directory: Path) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_static("/", directory)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _until(host: Api, keys: str, stream: str, phase: str) -> None:
    async def is_so() -> bool:
        found = (await host.request("GET", keys))["keys"]
        return any(one["id"] == stream and one["state"] and one["state"]["phase"] == phase for one in found)

    await eventually(is_so, 60)


async def _finished(host: Api, meeting: str, recordings: Path) -> Path:
    async def ready() -> str:
        (recording,) = (await host.recordings(meeting))["recordings"]
        return recording["id"] if recording["state"] in {"ready", "partial"} else ""

    return recordings / await eventually(ready, 60)


def _received_in_step(streams: list[ReceivedStream]) -> None:
    """Check flashes and beeps by their times according to the sender reports."""
    beginnings = []
    for stream in streams:
        is_video = stream.kind == "video"
        decoder = av.CodecContext.create("h264" if is_video else "libopus", "r")
        if not is_video:
            decoder.sample_rate, decoder.layout = 48_000, "stereo"
        rate, report = (90_000 if is_video else 48_000), stream.sender_reports[-1]
        first = next(index for index, frame in enumerate(stream.frames) if frame.keyframe)

        def decoded(stream=stream, decoder=decoder, rate=rate, report=report, first=first):
            for frame in stream.frames[first:]:
                behind = (frame.timestamp - report.rtp_timestamp + 2**31) % 2**32 - 2**31
                for image in decoder.decode(av.Packet(frame.data)):
                    yield report.ntp / 2**32 + behind / rate, image

        beginnings.append(_beginnings(decoded()))
    _agree(*beginnings)


def _recorded_in_step(recording: Path) -> None:
    beginnings = []
    for track in manifest_of(recording).tracks:
        for file in track.files if track.name == "Stage" else []:
            with av.open(recording.parent / file.key) as container:
                decoded = container.decode(container.streams[0])
                beginnings.append(_beginnings((file.start_ms / 1000 + frame.time, frame) for frame in decoded))
    _agree(*beginnings)


def _agree(one: list[float], other: list[float]) -> None:
    """Each flash has its beep; the first may be cut off. On a busy machine, one may be late by a frame or two."""
    assert min(len(one), len(other)) >= 4
    fewer, more = sorted((one, other), key=len)
    apart = [min(abs(at - candidate) for candidate in more) for at in fewer[1:]]
    assert sorted(apart)[len(apart) // 2] < 0.04, apart
    assert max(apart) < 0.1, apart


def _beginnings(decoded: Iterable[tuple[float, av.VideoFrame | av.AudioFrame]]) -> list[float]:
    """Return the times at which the video becomes bright, or the audio loud."""
    found: list[float] = []
    for at, frame in decoded:
        if isinstance(frame, av.VideoFrame):
            is_there, after = frame.to_ndarray(format="gray").mean() > 150, 0.0
        else:
            samples = np.abs(frame.to_ndarray()).reshape(frame.samples, -1).max(axis=1)
            loud = np.flatnonzero(samples > (0.15 if samples.dtype.kind == "f" else 5000))
            is_there, after = bool(loud.size), (loud[0] / frame.sample_rate if loud.size else 0.0)
        if is_there and not (found and at - found[-1] < 0.5):
            found.append(at + after)
    return found
