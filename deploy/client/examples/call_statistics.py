"""Prints what each track receives per second: `python call_statistics.py SERVER MEETING`."""

import asyncio
import os
import sys

from parley_client import Api, Room
from parley_client.bots import enter


def reading(room: Room) -> dict[str, tuple[int, int, int]]:
    """Return packets, repaired packets and frames of each track that is received."""
    carried = {mid: track for mid, track in room.state.slots.items() if track is not None}
    streams = room.receiver.streams
    return {
        track: (streams[mid].packets, streams[mid].repaired, streams[mid].frame_count)
        for mid, track in carried.items()
        if mid in streams
    }


async def main(server: str, key: str, meeting: str, readings: int = 60, seconds: float = 1.0) -> int:
    """Return the number of frames received altogether."""
    async with Api(server, bearer=key) as api, await enter(api, meeting, "statistics", "Statistics") as room:
        before: dict[str, tuple[int, int, int]] = {}
        frames = 0
        for _ in range(readings):
            await asyncio.sleep(seconds)
            now = reading(room)
            for track, counts in now.items():
                packets, repaired, new = (b - a for a, b in zip(before.get(track, (0, 0, 0)), counts, strict=True))
                frames += new
                source = room.state.tracks[track].source if track in room.state.tracks else "?"
                rates = f"{packets / seconds:6.0f} packets/s {new / seconds:6.1f} frames/s"
                print(f"{source:12} {rates} {repaired:4} packets repaired")
            before = now
        for row in (await api.rest.read_quality(meeting))["measured"]:
            print(row)
        return frames


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2]))
