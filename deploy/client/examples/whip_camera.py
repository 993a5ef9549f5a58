"""Sends a camera and a microphone by WHIP: `python whip_camera.py SERVER MEETING [SECONDS]`.

It creates a stream key, as for an encoder that is configured once, and deletes it at the end.
"""

import asyncio
import os
import sys
from urllib.parse import urljoin

from tone_bot import SAMPLES, picture, tone

from parley_client import Api, WhipPublisher
from parley_client.media import AudioSender, VideoSender


async def main(server: str, key: str, meeting: str, seconds: float = 60.0) -> int:
    async with Api(server, bearer=key) as api:
        made = await api.rest.create_stream_key(meeting, {"name": "Camera 1", "role": "publish"})
        try:
            async with WhipPublisher(urljoin(server, made["url"]), made["secret"] or "") as publisher:
                sound, pictures = AudioSender(publisher.microphone), VideoSender(publisher.camera)
                for number in range(int(seconds * 100)):
                    sound.send(tone(number * SAMPLES))
                    if number % 7 == 0:
                        pictures.send(picture(number // 7))
                    await asyncio.sleep(0.01)
                return publisher.camera.packets
        finally:
            await api.rest.delete_stream_key(meeting, made["id"])


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], *map(float, sys.argv[3:4]))))
