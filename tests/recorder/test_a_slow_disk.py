"""A whole server stopped while it records on a disk that takes seconds: the recorder still seals."""

import asyncio
import signal
from pathlib import Path

import pytest

from parley_client import Api, Room
from recorder.journal import read_closing_line
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.recorder.media import opus, video
from tests.support.call import become_admin
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

SLOW = """
import os, sys, time
if "recorder" in sys.argv or "recorder" in sys.orig_argv:
    sync = os.fdatasync
    os.fdatasync = lambda descriptor: (time.sleep(1), sync(descriptor))
"""
FPS = 25


async def test_a_recorder_on_a_slow_disk_seals_before_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second for each of two files of two tracks: four seconds, and as much for a round that is under way."""
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running_server() as server:
        recordings = server.data / "recordings"
        await record_until_stopped(server)
        journals = [*recordings.glob("*/*/*.jnl")]
        assert len(journals) == 2
        assert all(read_closing_line(path.read_bytes()) is not None for path in journals)
    assert not [line for line in server.lines if "recorder did not stop" in line]


async def record_until_stopped(server: RunningServer) -> None:
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)
        meeting = await api.create_meeting("Cut short")
        joined = await api.join(meeting, "Ada")
        async with Room(api.signaling_url(joined), token=joined.token) as room:
            camera, microphone = await room.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
            await room.send(Consent(text="1", recording=True))
            await api.start_recording(meeting)
            await room.until(lambda: room.state.recording.active)
            for index, (data, keyframe) in enumerate(video(Codec.VP8, FPS, fps=FPS)):
                camera.send_frame(data, index * 90_000 // FPS, keyframe=keyframe)
                await asyncio.sleep(1 / FPS)
            for index, (data, _) in enumerate(opus(50)):
                microphone.send_frame(data, index * 960, keyframe=True)
                await asyncio.sleep(1 / 50)
            recordings = server.data / "recordings"
            await asyncio.to_thread(until, lambda: len([*recordings.glob("*/*/*.jnl")]) == 2, 30)
            server.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(server.process.wait, 60)
