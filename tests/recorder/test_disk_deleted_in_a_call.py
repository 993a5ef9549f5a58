"""The recorder's disk is deleted during a call: segments closed before play from the store."""

import asyncio
import io
import shutil
import time
from dataclasses import replace

import av

from objects.s3 import S3Store
from parley_client import Api, Publication, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.recorder.media import read_number, video
from tests.recorder.test_a_whole_server_with_s3 import settings
from tests.recorder.test_with_a_whole_server import FPS, finished, stored_file
from tests.support.call import become_admin
from tests.support.object_stores import S3Server
from tests.support.server import running_server

SEGMENT_SECONDS = 10  # a segment is cut at the first keyframe after that
SECONDS = 16
LOST_SECONDS = SECONDS - SEGMENT_SECONDS  # the open segment is shorter, and the bar grants ten seconds beside it


async def show(camera: Publication, numbers: range) -> None:
    """Send numbered pictures at their pace, a keyframe every second."""
    pictures = video(Codec.VP8, numbers.stop, fps=FPS)
    begun = time.monotonic()
    for index in numbers:
        data, keyframe = pictures[index]
        await asyncio.sleep(max(0, begun + (index - numbers.start) / FPS - time.monotonic()))
        camera.send_frame(data, index * 90_000 // FPS, keyframe=keyframe)


async def test_what_was_closed_plays_from_the_store(s3: S3Server) -> None:
    given = settings(s3)
    store = S3Store(replace(s3.config, bucket=given["s3_bucket"]), "recordings/")
    with running_server(**given) as server:
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Deleted")
            ada = await api.join(meeting, "Ada")
            async with Room(api.signaling_url(ada), token=ada.token) as room:
                (camera,) = await room.publish((Source.CAMERA, Codec.VP8))
                await room.send(Consent(text="1", recording=True))
                recording = (await api.start_recording(meeting))["id"]
                await room.until(lambda: room.state.recording.active)
                await show(camera, range(13 * FPS))
                async with asyncio.timeout(30):
                    while True:
                        if any(found.key.endswith(".jnl") for found in store.list(f"{recording}/")):
                            break
                        await asyncio.sleep(0.2)
                await asyncio.to_thread(shutil.rmtree, server.data / "recordings" / recording)
                await show(camera, range(13 * FPS, SECONDS * FPS))
            row = await finished(api, recording)
            manifest = await api.request("GET", f"/recordings/{recording}/manifest")
            key = manifest["tracks"][0]["files"][0]["key"]
            data = await stored_file(api, recording, key)
    assert row["state"] in {"ready", "partial"}
    with av.open(io.BytesIO(data)) as container:
        numbers = [read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)]
    assert numbers == sorted(set(numbers)) and numbers[0] == 0
    assert set(range(SEGMENT_SECONDS * FPS)) <= set(numbers)
    assert len(numbers) >= (SECONDS - LOST_SECONDS) * FPS
