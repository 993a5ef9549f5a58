"""A template by LiveKit's `@livekit/egress-sdk` shows a room in a file, and changes its layout; the file is looked at.

    PARLEY_PICTURES=folder .venv/bin/pytest -s tests/parley/bar_web_egress.py

Two pictures of the file are written to PARLEY_PICTURES. It needs npm.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shlex
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiohttp import web
from livekit import api

from parley_client import Api, Room
from tests.parley.test_ingress import _encode
from tests.support.call import become_admin
from tests.support.livekit_client import KEY, KEYS, SECRET
from tests.support.server import running_server
from tests.support.waiting import eventually

PICTURES = os.environ.get("PARLEY_PICTURES")
NPM = shlex.split(os.environ.get("EGRESS_SDK", "npm install --silent --no-save @livekit/egress-sdk@0.2.1 --prefix"))
WEB = Path(__file__).parents[2] / "web"
SECONDS = 20
STATUS = api.EgressStatus
GROUNDS = {"speaker": (0, 102, 51), "grid": (0, 51, 102)}
"""Colours of the page, by layout."""

TEMPLATE = f"""
import EgressHelper from '@livekit/egress-sdk';
import {{Room}} from 'livekit-client';

const grounds = {json.dumps(GROUNDS)}, room = new Room();
const show = (layout) => document.body.style.background = `rgb(${{grounds[layout]}})`;
document.body.style.margin = 0;
show(EgressHelper.getLayout());
EgressHelper.onLayoutChanged(show);
room.on('trackSubscribed', (track) => {{
  const element = track.attach();
  document.body.append(element);
  if (track.kind !== 'video') return;
  element.style = 'height: 60vh';
  element.addEventListener('playing', () => {{
    EgressHelper.startRecording();
    setTimeout(() => EgressHelper.endRecording(), {SECONDS * 1000});
  }}, {{once: true}});
}});
await room.connect(EgressHelper.getLiveKitURL(), EgressHelper.getAccessToken());
EgressHelper.setRoom(room);
"""


def bundle(folder: Path) -> Path:
    """Build the template with LiveKit's packages, as an application does."""
    subprocess.run([*NPM, folder, "livekit-client@2.7.5"], check=True)
    (folder / "template.js").write_text(TEMPLATE)
    built = folder / "built.js"
    command = [
        WEB / "node_modules" / ".bin" / "esbuild",
        "template.js",
        "--bundle",
        "--format=esm",
        f"--outfile={built}",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return built


@contextlib.asynccontextmanager
async def served(folder: Path, template: Path) -> AsyncIterator[str]:
    """Serve the template and a clip."""

    async def page(_: web.Request) -> web.Response:
        text = '<!doctype html><body><script type="module" src="/template.js"></script>'
        return web.Response(text=text, content_type="text/html")

    async def script(_: web.Request) -> web.FileResponse:
        return web.FileResponse(template)

    app = web.Application()
    app.add_routes([web.get("/template", page), web.get("/template.js", script), web.static("/clips", folder)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_template_shows_a_room_in_a_file(tmp_path: Path) -> None:
    await _encode(str(tmp_path / "clip.mp4"), "120", "48000")
    template = await asyncio.to_thread(bundle, tmp_path)
    settings = {"ingress": "true", "inference": "false", "private_ingress": "true", "livekit_keys": KEYS}
    with running_server(**settings) as server:
        async with (
            Api(server.url) as host,
            served(tmp_path, template) as site,
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
                await asyncio.sleep(SECONDS / 2)
                wish = api.UpdateLayoutRequest(egress_id=info.egress_id, layout="grid")
                assert (await livekit.egress.update_layout(wish)).egress_id == info.egress_id
                await eventually(lambda: reaches(STATUS.EGRESS_COMPLETE, STATUS.EGRESS_FAILED), 400)
            ended = await state()
            assert ended.status == STATUS.EGRESS_COMPLETE, ended.error
            (file,) = ended.file_results
            content = tmp_path / "shown.mp4"
            content.write_bytes(await host.download(file.location.removeprefix("/api/v1")))
        _look_at(content)


def _look_at(content: Path) -> None:
    """Check that the page changes its layout while the clip moves, and that the clip's tone is heard."""
    with av.open(str(content)) as media:
        frames = [frame.to_ndarray(format="rgb24") for frame in media.decode(video=0)][::15]
    with av.open(str(content)) as media:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in media.decode(audio=0)])
    grounds = [next((name for name, colour in GROUNDS.items() if _is_near(frame, colour)), "") for frame in frames]
    seen = [(name, len(list(same))) for name, same in itertools.groupby(grounds)]
    moved = [np.abs(a.astype(int) - b).mean() > 0.5 for a, b in itertools.pairwise(frames)]
    loudest = np.abs(sound).max()
    print(f"{len(frames)} pictures: {seen}, {sum(moved)} moved; loudest sample {loudest:.2f}")
    if PICTURES:
        for name, place in (("first", len(frames) // 4), ("then", 3 * len(frames) // 4)):
            av.VideoFrame.from_ndarray(frames[place], "rgb24").to_image().save(Path(PICTURES) / f"shown-{name}.png")
    assert [name for name, _ in seen if name] == ["speaker", "grid"]
    assert grounds.count("") < 0.2 * len(frames)
    assert sum(moved) > 0.5 * len(frames)
    assert loudest > 0.05


def _is_near(frame: Any, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(frame[-20, -20].astype(int) - colour).max() < 30)
