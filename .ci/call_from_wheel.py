"""Starts `parley up` from an installed wheel, makes a call through it with its own client library, and stops it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from parley_client import Api, Codec, Room, Source

FRAMES = 60
# A VP8 frame tag with a 320x180 keyframe header (RFC 6386, section 9.1), and an interframe's; the SFU decodes nothing.
KEYFRAME = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00" + bytes(2000)
INTERFRAME = b"\x11\x02\x00" + bytes(500)


def main() -> int:
    ports = ("HTTP", "INTERNAL", "SFU_UDP", "SFU_SIGNALING", "SFU_HTTP", "RECORDER", "INFERENCE")
    with tempfile.TemporaryDirectory(prefix="parley-wheel-") as directory:
        environment = os.environ | {f"PARLEY_{name}_PORT": "0" for name in ports}
        environment |= {
            "PARLEY_HTTPS_PORT": "-1",
            "PARLEY_DATA_DIR": f"{directory}/data",
            "PARLEY_RUNTIME_DIR": f"{directory}/run",
            "PARLEY_SFU_ADDRESSES": "127.0.0.1",
        }
        command = [str(Path(sys.executable).parent / "parley"), "up"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
            try:
                asyncio.run(call(*started(server)))
            finally:
                server.send_signal(signal.SIGINT)
                server.wait(15)
    print("wheel: a call was made from it, outside the checkout")
    return 0


def started(server: "subprocess.Popen[str]") -> tuple[str, str]:
    """Return the address and the setup token that the server printed."""
    assert server.stderr is not None
    text = ""
    for line in server.stderr:
        text += line
        if "Ctrl-C stops everything" in line:
            break
    else:
        raise SystemExit(f"parley up ended:\n{text}")
    link = re.search(r"works once\): (http\S+?)/setup\?token=(\S+)", text)
    assert link, text
    return link[1], link[2]


async def call(url: str, token: str) -> None:
    async with Api(url) as host, Api(url) as guest:
        await host.set_up(token, "admin", "correct horse battery staple")
        meeting = await host.create_meeting("From the wheel")
        first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
        async with (
            Room(host.signaling_url(first), token=first.token) as publisher,
            Room(guest.signaling_url(second), token=second.token) as viewer,
        ):
            (video,) = await publisher.publish((Source.CAMERA, Codec.VP8))
            await viewer.until(lambda: video.track in viewer.state.slots.values())
            stream = None
            for number in range(600):
                keyframe = number % 30 == 0
                video.send_frame(KEYFRAME if keyframe else INTERFRAME, number * 3000, keyframe=keyframe)
                await asyncio.sleep(1 / 30)
                stream = viewer.stream_of(video.track)
                if stream and stream.frame_count >= FRAMES:
                    return
            raise SystemExit(f"the viewer got {stream and stream.frame_count} frames")


if __name__ == "__main__":
    sys.exit(main())
