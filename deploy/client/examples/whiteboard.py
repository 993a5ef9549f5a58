"""A whiteboard by data messages: `python whiteboard.py SERVER MEETING NAME`.

Each stroke is a JSON message under the topic "strokes". Newcomers request all strokes from everybody who is present, so
a stroke may arrive several times; it has an id, and is drawn once.
"""

import asyncio
import json
import os
import secrets
import sys
from typing import Any

from parley_client import Api, Room
from parley_client.bots import enter

TOPIC = "strokes"
Stroke = dict[str, Any]


class Whiteboard:
    """The strokes so far, by id."""

    def __init__(self, room: Room) -> None:
        self.strokes: dict[str, Stroke] = {}
        self._room = room

    async def draw(self, points: list[tuple[float, float]], colour: str) -> None:
        """Draw a line for everybody."""
        stroke: Stroke = {"id": secrets.token_hex(8), "points": points, "colour": colour}
        self.strokes[stroke["id"]] = stroke
        await self._room.send_data(json.dumps(stroke).encode(), topic=TOPIC)

    async def ask(self) -> None:
        """Ask for the strokes so far."""
        await self._room.send_data(b"", topic=f"{TOPIC}?")

    async def follow(self, wanted: int) -> None:
        """Add the strokes of others, and answer their requests, until there are `wanted` strokes."""
        with self._room.data() as received:
            async for message in received:
                if message.topic == f"{TOPIC}?":
                    for stroke in list(self.strokes.values()):
                        await self._room.send_data(json.dumps(stroke).encode(), message.sender, topic=TOPIC)
                elif message.topic == TOPIC:
                    stroke = json.loads(message.payload)
                    self.strokes.setdefault(stroke["id"], stroke)
                if len(self.strokes) >= wanted:
                    await self._room.data_sent()
                    return


async def main(server: str, key: str, meeting: str, name: str, wanted: int = 1_000_000) -> list[Stroke]:
    async with (
        Api(server, bearer=key) as api,
        await enter(api, meeting, f"whiteboard-{name}", name, data=True) as room,
    ):
        board = Whiteboard(room)
        following = asyncio.create_task(board.follow(wanted))
        await board.ask()
        await board.draw([(0.1, 0.1), (0.9, 0.9)], "#0a7")
        await following
        await asyncio.sleep(1.0 if wanted < 1_000_000 else 0)  # newcomers may still ask for the strokes
        return list(board.strokes.values())


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], sys.argv[3])))
