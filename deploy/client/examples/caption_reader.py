"""Prints live captions with the speakers' names: `python caption_reader.py SERVER MEETING [LINES]`."""

import asyncio
import os
import sys

from parley_client import Api
from parley_client.bots import enter
from parley_client.messages import Caption


async def main(server: str, key: str, meeting: str, lines: int = 1_000_000) -> list[str]:
    said: list[str] = []
    async with Api(server, bearer=key) as api, await enter(api, meeting, "caption-reader", "Captions") as room:
        with room.messages() as messages:
            async for message in messages:
                if isinstance(message, Caption) and message.final:
                    speaker = room.state.participants.get(message.participant)
                    said.append(f"{speaker.name if speaker else '?'}: {message.text}")
                    print(said[-1])
                if len(said) >= lines:
                    break
    return said


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], *map(int, sys.argv[3:4])))
