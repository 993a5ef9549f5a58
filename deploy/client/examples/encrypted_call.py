"""End-to-end encrypted sound: `python encrypted_call.py SERVER MEETING WORDS speak|listen`.

The server cannot decode what it forwards. Compare the six digits by voice: they are equal if the words are.
"""

import asyncio
import os
import sys

from recorder_bot import microphone_of
from tone_bot import SAMPLES, tone

from parley_client import Api, Encryption
from parley_client.bots import enter
from parley_client.media import AudioSender, decoded_frames


async def main(server: str, key: str, meeting: str, words: str, what: str, *, seconds: float = 60.0) -> tuple[str, int]:
    """Return the digits and the number of frames sent or decoded."""
    encryption = await asyncio.to_thread(Encryption.from_passphrase, words, meeting)
    async with (
        Api(server, bearer=key) as api,
        await enter(api, meeting, f"encrypted-{what}", what, encryption=encryption) as room,
    ):
        count = 0
        if what == "speak":
            (microphone,) = await room.publish(("microphone", "opus"))
            sender = AudioSender(microphone)
            for count in range(1, int(seconds * 100) + 1):
                sender.send(tone(count * SAMPLES))
                await asyncio.sleep(0.01)
            return encryption.code, count
        await room.until(lambda: microphone_of(room) is not None, 60)
        async for _ in decoded_frames(room, microphone_of(room) or ""):
            count += 1
            if count >= seconds * 50:
                break
        return encryption.code, count


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], sys.argv[3], sys.argv[4])))
