"""Records the first microphone into an Ogg file: `python recorder_bot.py SERVER MEETING FILE.ogg [SECONDS]`."""

import asyncio
import os
import sys
from fractions import Fraction
from pathlib import Path

import av

from parley_client import Api, Room
from parley_client.bots import enter
from parley_client.media import decoded_frames

RATE = 48_000


def microphone_of(room: Room) -> str | None:
    """Return the id of a microphone track that is received."""
    carried = set(room.state.slots.values())
    return next((t.track for t in room.state.tracks.values() if t.source == "microphone" and t.track in carried), None)


async def record(room: Room, path: Path, seconds: float) -> float:
    """Write the sound of a microphone, including silence, and return its length in seconds."""
    await room.until(lambda: microphone_of(room) is not None, 30)
    track = microphone_of(room)
    assert track is not None
    with av.open(str(path), "w", format="ogg") as output:
        stream = output.add_stream("libopus", rate=RATE)
        stream.layout = "stereo"
        first, last = -1, 0
        async for frame in decoded_frames(room, track):
            assert isinstance(frame, av.AudioFrame) and frame.pts is not None
            first = frame.pts if first < 0 else first
            frame.pts, frame.time_base = frame.pts - first, Fraction(1, RATE)
            output.mux(stream.encode(frame))
            last = frame.pts
            if last >= seconds * RATE:
                break
        output.mux(stream.encode(None))
    return last / RATE


async def main(server: str, key: str, meeting: str, path: str, seconds: float = 60.0) -> float:
    async with Api(server, bearer=key) as api, await enter(api, meeting, "recorder-bot", "Recorder") as room:
        return await record(room, Path(path), seconds)


if __name__ == "__main__":
    print(
        asyncio.run(
            main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], sys.argv[3], *map(float, sys.argv[4:5]))
        )
    )
