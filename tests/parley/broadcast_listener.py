"""An RTMP server for one publisher: FFmpeg, in a process of its own. Prints each picture's brightness in the middle,
and `sound` once there is some.
"""

import sys

import av
import numpy as np


def listen(url: str) -> None:
    with av.open(url, options={"listen": "1", "timeout": "60"}) as container:
        heard = False
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    luma = frame.to_ndarray()[: frame.height]
                    print(int(np.mean(luma[300:400, 600:680])), frame.width, frame.height, flush=True)
                elif not heard:
                    heard = True
                    print("sound", flush=True)


if __name__ == "__main__":
    listen(sys.argv[1])
