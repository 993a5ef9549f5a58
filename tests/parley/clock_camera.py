"""A camera of 720p30 whose pictures show the time, and a tone; published by WHIP.

    python -m tests.parley.clock_camera URL TOKEN SECONDS

It is a process of its own, because FFmpeg's muxer does its handshake without releasing the interpreter lock.
"""

import sys
import time

import av
import numpy as np

from tests.support.clock_pictures import HEIGHT, WIDTH, drawn

RATE = 30
_BLOCK = 960
_SOUND_RATE = 48000


def publish(url: str, token: str, seconds: float) -> None:
    with av.open(url, mode="w", format="whip", options={"authorization": token}) as output:
        options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "threads": "1"}
        video = output.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 2_000_000
        video.codec_context.gop_size = 2 * RATE
        video.codec_context.max_b_frames = 0
        audio = output.add_stream("libopus", rate=_SOUND_RATE, layout="stereo")
        tone = (np.sin(np.arange(_BLOCK) * 2 * np.pi * 500 / _SOUND_RATE) * 8000).astype(np.int16)
        sound = np.repeat(tone, 2).reshape(1, -1)
        samples, begun = 0, time.monotonic()
        for number in range(int(seconds * RATE)):
            frame = av.VideoFrame.from_ndarray(drawn(number), "gray").reformat(format="yuv420p")
            frame.pts = number
            output.mux(video.encode(frame))
            while samples / _SOUND_RATE <= number / RATE:
                block = av.AudioFrame.from_ndarray(sound, format="s16", layout="stereo")
                block.sample_rate, block.pts = _SOUND_RATE, samples
                samples += _BLOCK
                output.mux(audio.encode(block))
            time.sleep(max(0.0, begun + number / RATE - time.monotonic()))


if __name__ == "__main__":
    publish(sys.argv[1], sys.argv[2], float(sys.argv[3]))
