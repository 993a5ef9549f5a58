"""Worker process that makes one small picture of an uploaded video, and exits.

Started as `python -m control.files.video_worker FD MEDIA_FD`; otherwise like image_worker. It is separate because
loading FFmpeg takes as long as making a picture.
"""

import io
import os
import socket
import sys
from typing import IO

import av
import numpy as np
from PIL import Image

from control.files.image_worker import MAX_PIXELS, serve, thumbnail
from foundation import preload


def make(file: IO[bytes]) -> bytes:
    """Return a JPEG of the first frame; raises ValueError if it is unreadable or too large."""
    try:
        with av.open(file, "r", metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            if stream.width * stream.height > MAX_PIXELS:
                raise ValueError("the video has too many pixels")
            for frame in container.decode(stream):
                return thumbnail(Image.fromarray(frame.to_ndarray(format="rgb24")))
    except (av.FFmpegError, IndexError) as error:
        raise ValueError("the video cannot be read") from error
    raise ValueError("the video has no picture")


def example() -> IO[bytes]:
    """Return a video of one frame."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", 1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(stream.encode(None))
    out.seek(0)
    return out


def main(arguments: list[str]) -> None:
    """Send the result and exit."""
    descriptor, media = int(arguments[0]), int(arguments[1])
    preload.whole_package(av, frozenset(("av.__main__", "av.datasets")))
    with socket.socket(fileno=descriptor) as channel, os.fdopen(media, "rb") as file:
        serve(channel, file, make, [example()])


if __name__ == "__main__":
    main(sys.argv[1:])
