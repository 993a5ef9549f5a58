"""A meeting recorded by a whole server: losses repaired, the recorder killed meanwhile, the files downloaded.

Everything is encrypted on the disk.
"""

import argparse
import asyncio
import base64
import io
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import av
import pytest

from foundation.settings import resolve
from parley import recording_command
from parley.part_configs import embedded_postgres
from parley_client import Api, ApiError, Publication, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.recorder.media import is_flash, opus, read_number, video
from tests.recorder.test_lip_sync import beeps_in
from tests.support.call import PASSWORD, become_admin
from tests.support.server import RunningServer, running_server

SECONDS = 8
FPS = 25


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(encrypt_recordings="true") as running:
        yield running


async def pump(camera: Publication, microphone: Publication, killing: "asyncio.Task[None] | None") -> None:
    """Send both in real time: a flash and a beep every second, every twentieth frame lost at first."""
    dice = random.Random(5)
    pictures = video(Codec.VP8, FPS * SECONDS, fps=FPS, flash_every=FPS)
    sounds = opus(50 * SECONDS, beep_every=50)
    due = [
        (index / FPS, camera, data, keyframe, index * 90_000 // FPS) for index, (data, keyframe) in enumerate(pictures)
    ]
    due += [(index / 50, microphone, data, True, index * 960) for index, (data, _) in enumerate(sounds)]
    begun = time.monotonic()
    for at, publication, data, keyframe, timestamp in sorted(due, key=lambda d: d[0]):
        await asyncio.sleep(max(0, begun + at - time.monotonic()))
        publication.send_frame(data, timestamp, keyframe=keyframe, lose=0.3 < at < SECONDS - 1 and dice.random() < 0.05)
    if killing is not None:
        await killing


async def kill_recorder(server: RunningServer, after: float) -> None:
    await asyncio.sleep(after)
    os.kill(server.part_pid("recorder"), signal.SIGKILL)


async def test_a_recorded_meeting(server: RunningServer) -> None:
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)
        meeting = await api.create_meeting("Recorded")
        joined = await api.join(meeting, "Ada")
        async with Room(api.signaling_url(joined), token=joined.token) as room:
            camera, microphone = await room.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
            await room.send(Consent(text="1", recording=True))
            recording = (await api.start_recording(meeting))["id"]
            await room.until(lambda: room.state.recording.active)
            killing = asyncio.create_task(kill_recorder(server, 3.3))
            await pump(camera, microphone, killing)
            await asyncio.sleep(1.2)  # for the last repairs; a recording stops at once
            await api.stop_recording(meeting)
            assert camera.retransmitted > 0
        row = await finished(api, recording)
        detail = await api.request("GET", f"/recordings/{recording}/manifest")
        tracks = {track["source"]: track for track in detail["tracks"]}
        files = {}
        for source, track in tracks.items():
            files[source] = await stored_file(api, recording, track["files"][0]["key"])
    assert row["state"] == "ready", detail
    assert all(abs(track["duration_ms"] - SECONDS * 1000) < 100 for track in tracks.values())
    with av.open(io.BytesIO(files["camera"])) as container:
        images = [(i.to_ndarray(format="gray"), float(i.pts * i.time_base)) for i in container.decode(video=0)]
    assert [read_number(luma) for luma, _ in images] == list(range(FPS * SECONDS))
    with av.open(io.BytesIO(files["microphone"])) as container:
        assert [bytes(p) for p in container.demux(audio=0) if p.size] == [
            d for d, _ in opus(50 * SECONDS, beep_every=50)
        ]
    flashes = [tracks["camera"]["start_ms"] / 1000 + at for luma, at in images if is_flash(luma)]
    heard = beeps_in(io.BytesIO(files["microphone"]), tracks["microphone"]["start_ms"])
    assert len(flashes) == len(heard) == SECONDS
    assert max(abs(a - b) for a, b in zip(flashes, heard, strict=True)) <= 0.040


async def finished(api: Api, recording: str) -> dict:
    """Wait for control to know that the recording is finished."""
    for _ in range(200):
        row = (await api.request("GET", f"/recordings/{recording}"))["recording"]
        if row["state"] in ("ready", "partial"):
            return row
        await asyncio.sleep(0.1)
    raise AssertionError(f"not finished: {row}")


async def stored_file(api: Api, recording: str, key: str) -> bytes:
    """Download a file by its key in the manifest."""
    return await api.download(f"/recordings/{recording}/files/{key.removeprefix(f'{recording}/')}")


async def test_a_film_is_made_when_the_last_person_has_left(server: RunningServer) -> None:
    """Nobody stops the recording, nobody asks for the film."""
    async with Api(server.url) as api:
        try:
            await become_admin(api, server.setup_token)
        except ApiError:
            await api.login("admin", PASSWORD)
        meeting = await api.create_meeting("Filmed")
        ada, bob = await api.join(meeting, "Ada"), await api.join(meeting, "Bob")
        async with Room(api.signaling_url(ada), token=ada.token) as one:
            camera, _ = await one.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
            await one.send(Consent(text="1", recording=True))
            recording = (await api.start_recording(meeting))["id"]
            await one.until(lambda: one.state.recording.active)
            async with Room(api.signaling_url(bob), token=bob.token) as other:
                second, _ = await other.publish((Source.CAMERA, Codec.VP8), (Source.MICROPHONE, Codec.OPUS))
                await other.send(Consent(text="1", recording=True))
                begun = time.monotonic()
                for index, (data, keyframe) in enumerate(video(Codec.VP8, 3 * FPS, fps=FPS, flash_every=FPS)):
                    await asyncio.sleep(max(0, begun + index / FPS - time.monotonic()))
                    for publication in (camera, second):
                        publication.send_frame(data, index * 90_000 // FPS, keyframe=keyframe)
        left = time.monotonic()
        row = await finished(api, recording)
        listed = time.monotonic() - left
        composition = await composed(api, recording)
        film = await api.download(f"/recordings/{recording}/files/{composition['file']}")
    assert row["state"] == "ready"
    assert listed <= 30  # ten on a machine of one's own
    assert len(film) == composition["bytes"]
    with av.open(io.BytesIO(film)) as container:
        names = {stream.codec_context.name for stream in (*container.streams.audio, *container.streams.video)}
        images = [image.to_ndarray(format="gray") for image in container.decode(video=0)]
    assert names == {"h264", "aac"}
    halves = [(image[300:600, 100:500].mean(), image[300:600, 740:1140].mean()) for image in images]
    assert any(a > 150 and b > 150 for a, b in halves)  # a flash, in both tiles
    assert any(a < 80 and b < 80 for a, b in halves)


async def test_the_archive_is_rebuilt_from_its_files(server: RunningServer) -> None:
    """The recordings' tables are dropped; the files say all that was in them."""
    async with Api(server.url) as api:
        await api.login("admin", PASSWORD)
        held = (await api.request("GET", "/recordings"))["recordings"][0]["id"]
        await api.request("PUT", f"/recordings/{held}/hold", {"held": True})
        before = await archive(api)
        assert before[held]["recording"]["held"]
        assert len(before) >= 2 and all(one["tracks"] and one["composition"] for one in before.values())
        environment = os.environ | {"PARLEY_DATA_DIR": str(server.data), "PARLEY_RUNTIME_DIR": str(server.runtime)}
        connection = await asyncpg.connect(embedded_postgres(resolve({}, environment)).dsn)
        try:
            wanted = "SELECT array_agg((key, bytes, sha256)::text ORDER BY key) FROM recording_segments"
            segments = await connection.fetchval(wanted)
            await connection.execute("DROP TABLE meeting_recordings, recording_segments, recording_links CASCADE")
            for _ in range(2):  # the second changes nothing
                printed = await rescan(environment)
                assert all(name in printed for name in before)
                assert await archive(api) == before
            assert await connection.fetchval(wanted) == segments
        finally:
            await connection.close()


async def test_nothing_on_the_disk_can_be_read_without_the_key(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = server.data / "recordings"
    contents = {path: path.read_bytes() for path in recordings.rglob("*") if path.is_file()}
    told = {
        path.suffix  # no word may be so short that it is in random bytes
        for path, content in contents.items()
        if re.search(rb'"Ada"|"Bob"|participant_|webm|matroska|ftyp|JFIF', content)
    }
    assert not told, told
    assert {".webm", ".mp4", ".jpg", ".vtt", ".jnl"} <= {path.suffix for path in contents}
    key = (server.data / "secrets" / "recordings_keys").read_text()
    new = base64.b64encode(bytes(32)).decode()
    media = {path: content for path, content in contents.items() if path.suffix != ".key"}
    names = sorted(path.parent.name for path in recordings.glob("recording_*/manifest.json"))

    def act(keys: str, *words: str) -> int:
        environment = {"PARLEY_DATA_DIR": str(server.data), "PARLEY_RECORDINGS_KEYS": keys}
        arguments = argparse.Namespace(act=words[0], recording=words[-1], public_key=None, json=True)
        return recording_command.main(resolve({}, environment), arguments)

    assert [act(key, "verify", name) for name in names] == [0] * len(names)
    assert act(new, "verify", names[0]) == 2
    assert "needs the operator's key" in capsys.readouterr().err
    assert act(new, "rewrap") == 1, "a key is missing"
    assert act(f"{new},{key}", "rewrap") == 0
    assert [act(new, "verify", name) for name in names] == [0] * len(names)
    assert act(key, "verify", names[0]) == 2
    assert act(f"{key},{new}", "rewrap") == 0
    assert all(path.read_bytes() == content for path, content in media.items()), "the media were written again"


async def rescan(environment: dict[str, str]) -> str:
    command = (sys.executable, "-m", "parley", "recording", "rescan")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed
    return printed.decode()


async def archive(api: Api) -> dict:
    """Every recording that is listed, as its page shows it."""
    listed = (await api.request("GET", "/recordings"))["recordings"]
    details = {one["id"]: await api.request("GET", f"/recordings/{one['id']}") for one in listed}
    for detail in details.values():
        await composed(api, detail["recording"]["id"])
    return {name: await api.request("GET", f"/recordings/{name}") for name in details}


async def composed(api: Api, recording: str) -> dict:
    """Wait for the film."""
    for _ in range(300):
        composition = (await api.request("GET", f"/recordings/{recording}"))["composition"]
        if composition is not None and composition["state"] in ("done", "failed"):
            assert composition["state"] == "done", composition
            return composition
        await asyncio.sleep(0.2)
    raise AssertionError(f"no film: {composition}")
