"""Deletes messages with forbidden words and mutes repeat offenders: `python moderation_bot.py SERVER MEETING`."""

import asyncio
import os
import sys
from collections import Counter

from parley_client import Api, ApiError
from parley_client.bots import enter
from parley_client.messages import Chat

FORBIDDEN = {"spam", "casino"}
WARNINGS = 1


async def delete(api: Api, meeting: str, message: str) -> None:
    """Delete a message. The room gets it before the database does, so the deletion is retried while it is not found."""
    for attempt in range(50):
        try:
            await api.rest.delete_message(meeting, message)
            return
        except ApiError as error:
            if error.status != 404 or attempt == 49:
                raise
        await asyncio.sleep(0.1)


async def main(server: str, key: str, meeting: str, mutes: int = 1_000_000) -> list[str]:
    """Moderate until `mutes` participants are muted; return their ids."""
    offences: Counter[str] = Counter()
    muted: list[str] = []
    async with (
        Api(server, bearer=key) as api,
        await enter(api, meeting, "moderator", "Moderator", role="co-host") as room,
    ):
        with room.messages() as messages:
            async for message in messages:
                if not isinstance(message, Chat) or not message.participant or not message.id:
                    continue
                if FORBIDDEN.isdisjoint(message.text.casefold().split()):
                    continue
                await delete(api, meeting, message.id)
                offences[message.participant] += 1
                if offences[message.participant] > WARNINGS:
                    await api.rest.mute_participant(meeting, message.participant, {"muted": ["microphone", "camera"]})
                    muted.append(message.participant)
                else:
                    await room.chat("Please keep to the subject.", message.participant)
                if len(muted) >= mutes:
                    return muted
    return muted


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2]))
