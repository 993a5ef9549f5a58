"""Sends a file to everybody in the meeting: `python file_sender.py SERVER MEETING FILE`; `… receive` receives one.

The receiver asks for the file, since messages to a participant whose data channel is not open yet are lost. The first
message under the topic "file" is JSON: name, size and SHA-256. The pieces follow in order.
"""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

from parley_client import Api, Room
from parley_client.bots import enter

TOPIC, ASKED = "file", "file-asked"
PIECE = 48 * 1024


async def asked(room: Room) -> None:
    """Return once a receiver has asked for the file."""
    with room.data() as received:
        async for message in received:
            if message.topic == ASKED:
                return


async def ask(room: Room) -> None:
    """Ask for a file every second, since the sender may come later."""
    while True:
        await room.send_data(b"", topic=ASKED)
        await asyncio.sleep(1)


async def send(room: Room, name: str, content: bytes) -> None:
    """Send a file; returns when the server has all of it."""
    about = {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    await room.send_data(json.dumps(about).encode(), topic=TOPIC)
    for at in range(0, len(content), PIECE):
        await room.send_data(content[at : at + PIECE], topic=TOPIC)
    await room.data_sent()


async def receive(room: Room) -> tuple[str, bytes]:
    """Return the name and the content of the next file; raises ValueError if the content is incomplete or damaged."""
    about, content = None, b""
    asking = asyncio.create_task(ask(room))
    with room.data() as received:
        async for message in received:
            if message.topic != TOPIC:
                continue
            asking.cancel()
            if about is None:
                about = json.loads(message.payload)
            else:
                content += message.payload
            if len(content) >= about["size"]:
                break
    if about is None or hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise ValueError("the file is incomplete or damaged")
    return Path(about["name"]).name, content


async def main(server: str, key: str, meeting: str, what: str) -> tuple[str, bytes] | None:
    name = "file-receiver" if what == "receive" else "file-sender"
    async with Api(server, bearer=key) as api, await enter(api, meeting, name, name, data=True) as room:
        if what == "receive":
            return await receive(room)
        await asyncio.wait_for(asked(room), 60)
        await send(room, Path(what).name, await asyncio.to_thread(Path(what).read_bytes))
        return None


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], sys.argv[3])))
