"""An encoder with usual settings: x264 with B-frames and AAC, with a flash and a beep every second.

It sends by RTMP or, with - for the URL, MPEG-TS to its standard output in real time; or it writes a file.

    python rtmp_encoder.py URL SECONDS RATE [HEIGHT]
"""

import sys
import time
from fractions import Fraction

import av
import numpy as np

FPS = 30


def main() -> None:
    url, seconds, rate = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    height = int(sys.argv[4]) if len(sys.argv) > 4 else 360
    is_live = url.startswith("rtmp") or url == "-"
    target, form = (sys.stdout.buffer, "mpegts") if url == "-" else (url, "flv" if is_live else None)
    with av.open(target, "w", format=form, options={"flush_packets": "1"}) as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = height * 16 // 9, height, "yuv420p"
        video.options = {"preset": "veryfast", "bf": "2", "g": str(2 * FPS), "b_strategy": "0", "threads": "1"}
        audio = out.add_stream("aac", rate=rate)
        audio.layout = "stereo"
        begun, sample = time.monotonic(), 0
        for index in range(round(seconds * FPS)):
            while is_live and (left := begun + index / FPS - time.monotonic()) > 0:
                time.sleep(left)
            picture = np.full((video.height, video.width), 235 if index % FPS == 0 else 16 + index % 40, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
            while sample * FPS < index * rate:
                times = np.arange(sample, sample + 1024)
                loud = np.where(times % rate < rate // 20, 0.5, 0.0)
                tone = (loud * np.sin(times * 2 * np.pi * 1000 / rate)).astype(np.float32)
                sound = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
                sound.sample_rate, sound.pts, sound.time_base = rate, sample, Fraction(1, rate)
                out.mux(audio.encode(sound))
                sample += 1024
        for stream in (video, audio):
            out.mux(stream.encode(None))


if __name__ == "__main__":
    main()
