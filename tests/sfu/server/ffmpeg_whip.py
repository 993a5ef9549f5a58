"""Publisher of H264 and Opus with FFmpeg's WHIP muxer and its default flags.

Arguments: URL, token, seconds, frames between keyframes (30). It is a separate process, because the muxer does its
handshake without releasing the interpreter lock.
"""

import sys
import time

import av
import numpy as np

RATE = 30
BLOCK = 960


def publish(url: str, token: str, seconds: float, keyframe_interval: int = RATE) -> None:
    with av.open(url, mode="w", format="whip", options={"authorization": token}) as output:
        options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        video = output.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        video.codec_context.gop_size = keyframe_interval
        video.codec_context.max_b_frames = 0
        audio = output.add_stream("libopus", rate=48000, layout="stereo")
        picture = np.zeros((360, 640, 3), np.uint8)
        tone = (np.sin(np.arange(BLOCK) * 2 * np.pi * 440 / 48000) * 8000).astype(np.int16)
        sound = np.repeat(tone, 2).reshape(1, -1)
        samples = 0
        begun = time.monotonic()
        for number in range(int(seconds * RATE)):
            picture[:] = (number * 4) % 256
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            output.mux(video.encode(frame))
            while samples / 48000 <= number / RATE:
                block = av.AudioFrame.from_ndarray(sound, format="s16", layout="stereo")
                block.sample_rate = 48000
                block.pts = samples
                samples += BLOCK
                output.mux(audio.encode(block))
            time.sleep(max(0.0, begun + number / RATE - time.monotonic()))


if __name__ == "__main__":
    publish(sys.argv[1], sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:]))
