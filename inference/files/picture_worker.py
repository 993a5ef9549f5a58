"""The worker that analyses the pictures of media files: one per second, and the faces in it.

Started as `python -m inference.files.picture_worker FD FACES_DIRECTORY NICE MEDIA_FD WANTED` with a Unix stream socket
at FD and the file, opened for reading, at MEDIA_FD; WANTED is as in inference.analysis_worker. It is confined before
the file's first byte is read. It ends with FileProgress(done) or Failed.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import av
import numpy as np

from foundation import confinement
from inference import messages
from inference.analysis.looking import Looker
from inference.analysis.pictures import MAX_PIXELS, scaled
from inference.files.file_worker import load_everything
from inference.workers.loop import confined_channel, send_all

MEMORY_BYTES = 3 << 30
SAMPLE_MS = 1000
MAX_PICTURES = 4 * 3600
_REPORT_EVERY = 10


def look_at(file: IO[bytes], looker: Looker) -> Iterator[messages.AnyMessage]:
    """Yield observations and progress; raises ValueError for a file without video."""
    try:
        with av.open(file, mode="r", metadata_errors="ignore") as container:
            if not container.streams.video:
                raise ValueError("the file has no video")
            stream = container.streams.video[0]
            if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
                raise ValueError("the pictures are too large")
            duration_ms = (container.duration or 0) * 1000 // av.time_base
            due, looked = 0, 0
            at_ms = 0
            for frame in container.decode(stream):
                at_ms = max(at_ms, int((frame.time or 0.0) * 1000))
                if at_ms < due:
                    continue
                due, looked = at_ms + SAMPLE_MS, looked + 1
                yield messages.PictureSeen(handle=0, at_ms=at_ms, faces=looker.look(scaled(frame)))
                if looked % _REPORT_EVERY == 0:
                    yield messages.FileProgress(read_ms=at_ms, duration_ms=duration_ms)
                if looked >= MAX_PICTURES:
                    break
            yield messages.FileProgress(read_ms=at_ms, duration_ms=duration_ms, done=True)
    except av.FFmpegError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from error


def main(arguments: list[str]) -> None:
    """Analyse the file and end."""
    descriptor, directory, nice = int(arguments[0]), Path(arguments[1]), int(arguments[2])
    media, wanted = int(arguments[3]), arguments[4]
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    looker = Looker(directory, emotion="emotion" in wanted, crops="crops" in wanted)
    load_everything()
    looker.look(np.zeros((64, 64, 3), np.uint8))
    with os.fdopen(media, "rb") as file, confined_channel(descriptor) as channel:
        send_all(channel, look_at(file, looker))


if __name__ == "__main__":
    main(sys.argv[1:])
