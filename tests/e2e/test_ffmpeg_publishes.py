"""FFmpeg's WHIP muxer with default flags publishes through the whole server; browsers see it, even late ones."""

import asyncio
import sys
from pathlib import Path

from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import chromium_guest, of_chromium, until_media

MUXER = Path(__file__).parents[1] / "sfu" / "server" / "ffmpeg_whip.py"


async def test_ffmpeg_is_seen_at_once_and_by_a_late_joiner_at_its_next_keyframe(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Published")
    joined = await deployment.admin.join(meeting, "Camera van")
    async with chromium_guest(deployment, 0, meeting, "Ada") as ada:
        # Beside the server, by plain HTTP: with its default flags it refuses self-signed certificates.
        command = [*deployment.network.server_prefix, sys.executable, str(MUXER)]
        publisher = await asyncio.create_subprocess_exec(
            *command, f"{deployment.plain_url}{joined.whip_url}", joined.token, "40"
        )
        try:
            await until_media(of_chromium(ada), videos=1, frames=60, audio=100, seconds=30)
            async with chromium_guest(deployment, 1, meeting, "Late") as late:
                # The muxer sends a keyframe each second and hears no PLI.
                await until_media(of_chromium(late), videos=2, frames=1, audio=1, seconds=30)
        finally:
            publisher.terminate()
            await publisher.wait()
