"""A whole server with recordings and files in S3: recorded, finished, composed by a worker, and downloaded."""

import asyncio
import contextlib
import io
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av

from objects.s3 import S3Store
from parley_client import Api, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.recorder.media import read_number, video
from tests.recorder.test_with_a_whole_server import FPS, composed, finished, stored_file
from tests.support.call import become_admin
from tests.support.object_stores import S3Server
from tests.support.server import RunningServer, running_server


def settings(s3: S3Server) -> dict[str, str]:
    return {
        "s3_endpoint": s3.config.endpoint,
        "s3_bucket": f"test-{secrets.token_hex(6)}",
        "s3_access_key": s3.config.access_key,
        "s3_secret_key": s3.config.secret_key,
        "inference": "false",
    }


def left(recordings: Path) -> list[Path]:
    return [path for path in recordings.rglob("*") if path.suffix in {".webm", ".mp4"}]


@contextlib.contextmanager
def film_worker(server: RunningServer, directory: Path) -> Iterator[None]:
    """Run a worker as on another machine: it has the recorder's settings, but neither its files nor an sfu."""
    entries = Path(f"/proc/{server.part_pid('recorder')}/environ").read_text().split("\0")
    environment = dict(entry.split("=", 1) for entry in entries if entry)
    for name in ("PARLEY_SUPERVISOR_PID", "PARLEY_WAITS", "NOTIFY_SOCKET"):
        environment.pop(name, None)
    environment |= {"PARLEY_RECORDINGS_DIR": str(directory), "PARLEY_FILMS_AT_ONCE": "1", "PARLEY_RECORDER_PORT": "0"}
    process = subprocess.Popen([sys.executable, "-m", "parley", "film-worker"], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


async def test_a_meeting_is_in_the_bucket(s3: S3Server, tmp_path: Path) -> None:
    given = settings(s3) | {"films_at_once": "-1"}
    with running_server(**given) as server:
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Stored")
            ada = await api.join(meeting, "Ada")
            async with Room(api.signaling_url(ada), token=ada.token) as room:
                (camera,) = await room.publish((Source.CAMERA, Codec.VP8))
                await room.send(Consent(text="1", recording=True))
                recording = (await api.start_recording(meeting))["id"]
                await room.until(lambda: room.state.recording.active)
                begun = time.monotonic()
                for index, (data, keyframe) in enumerate(video(Codec.VP8, 2 * FPS, fps=FPS)):
                    await asyncio.sleep(max(0, begun + index / FPS - time.monotonic()))
                    camera.send_frame(data, index * 90_000 // FPS, keyframe=keyframe)
            row = await finished(api, recording)
            manifest = await api.request("GET", f"/recordings/{recording}/manifest")
            key = manifest["tracks"][0]["files"][0]["key"]
            data = await stored_file(api, recording, key)
            with film_worker(server, tmp_path):
                film = await composed(api, recording)
            assert len(await api.download(f"/recordings/{recording}/files/{film['file']}")) == film["bytes"]
        assert row["state"] == "ready"
        with av.open(io.BytesIO(data)) as container:
            numbers = [read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)]
        assert numbers == list(range(2 * FPS))
        store = S3Store(replace(s3.config, bucket=given["s3_bucket"]), "recordings/")
        keys = {found.key for found in store.list(f"{recording}/")}
        assert {f"{recording}/manifest.json", key, f"{recording}/{film['file']}"} <= keys
        assert left(server.data / "recordings") == []
