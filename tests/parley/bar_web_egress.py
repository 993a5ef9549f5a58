"""A template of an application's own shows a room, by LiveKit's SDK in a page; the file of it is played, and looked at.

    PARLEY_PICTURES=folder .venv/bin/pytest -s tests/parley/bar_web_egress.py

A picture of the file is written to PARLEY_PICTURES.
"""

import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiohttp import web
from livekit import api

from parley_client import Api, Room
from tests.e2e.test_livekit_pages import package
from tests.parley.test_ingress import _encode
from tests.support.call import become_admin
from tests.support.livekit_client import KEY, KEYS, SECRET
from tests.support.livekit_page import PACKAGE
from tests.support.server import running_server
from tests.support.waiting import eventually

__all__ = ["package"]

PICTURES = os.environ.get("PARLEY_PICTURES")
SECONDS = 20
STATUS = api.EgressStatus
TEMPLATE = f"""<!doctype html><body style="margin:0;background:#063"><script src="/client.js"></script><script>
const query = new URLSearchParams(location.search), room = new LivekitClient.Room();
room.on('trackSubscribed', (track) => {{
  const element = track.attach();
  document.body.append(element);
  if (track.kind !== 'video') return;
  element.style = 'height: 60vh';
  element.onplaying = () => {{
    if (window.begun) return;
    window.begun = true;
    console.log('START_RECORDING');
    setTimeout(() => console.log('END_RECORDING'), {SECONDS * 1000});
  }};
}});
room.connect(query.get('url'), query.get('token')).catch((error) => document.body.append(String(error)));
document.body.append(query.get('layout'));
</script>"""


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """Serve the template, the SDK and a clip."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=TEMPLATE, content_type="text/html")

    async def client(_: web.Request) -> web.FileResponse:
        return web.FileResponse(PACKAGE / "dist" / "livekit-client.umd.js")

    app = web.Application()
    app.add_routes([web.get("/template", page), web.get("/client.js", client), web.static("/clips", folder)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_template_shows_a_room_in_a_file(tmp_path: Path) -> None:
    await _encode(str(tmp_path / "clip.mp4"), "120", "48000")
    settings = {"ingress": "true", "inference": "false", "private_ingress": "true", "livekit_keys": KEYS}
    with running_server(**settings) as server:
        async with (
            Api(server.url) as host,
            served(tmp_path) as site,
            api.LiveKitAPI(server.url, KEY, SECRET) as livekit,
        ):
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("Shown", consent="implied")
            joined = await host.join(meeting, "Host")
            async with Room(host.signaling_url(joined), token=joined.token) as room:
                source = {"name": "Clip", "role": "publish", "source_url": f"{site}/clips/clip.mp4"}
                await host.request("POST", f"/meetings/{meeting}/stream-keys", source)
                await eventually(lambda: len(room.state.tracks) == 2, 60)
                begun = time.monotonic()
                info = await livekit.egress.start_room_composite_egress(
                    api.RoomCompositeEgressRequest(
                        room_name=meeting,
                        layout="speaker",
                        custom_base_url=f"{site}/template",
                        file_outputs=[api.EncodedFileOutput(filepath="shown.mp4")],
                    )
                )

                async def state() -> Any:
                    wish = api.ListEgressRequest(egress_id=info.egress_id)
                    (found,) = (await livekit.egress.list_egress(wish)).items
                    return found

                async def reaches(*wanted: int) -> bool:
                    return (await state()).status in wanted

                await eventually(lambda: reaches(STATUS.EGRESS_ACTIVE, STATUS.EGRESS_FAILED), 60)
                print(f"the page had started {time.monotonic() - begun:.1f} s after the request")
                await eventually(lambda: reaches(STATUS.EGRESS_COMPLETE, STATUS.EGRESS_FAILED), 400)
            ended = await state()
            assert ended.status == STATUS.EGRESS_COMPLETE, ended.error
            (file,) = ended.file_results
            content = tmp_path / "shown.mp4"
            content.write_bytes(await host.download(file.location.removeprefix("/api/v1")))
        _look_at(content)


def _look_at(content: Path) -> None:
    """Check that the picture moves on the template's ground, and that the clip's tone is heard."""
    with av.open(str(content)) as media:
        frames = [frame.to_ndarray(format="rgb24") for frame in media.decode(video=0)][::15]
    with av.open(str(content)) as media:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in media.decode(audio=0)])
    ground = [np.abs(frame[-20, -20].astype(int) - (0, 102, 51)).max() < 30 for frame in frames]
    moved = [np.abs(a.astype(int) - b).mean() > 0.5 for a, b in itertools.pairwise(frames)]
    loudest = np.abs(sound).max()
    print(f"{len(frames)} pictures: {sum(ground)} of the page, {sum(moved)} moved; loudest sample {loudest:.2f}")
    if PICTURES:
        av.VideoFrame.from_ndarray(frames[len(frames) // 2], "rgb24").to_image().save(Path(PICTURES) / "shown.png")
    assert sum(ground) > 0.8 * len(frames)
    assert sum(moved) > 0.5 * len(frames)
    assert loudest > 0.05
