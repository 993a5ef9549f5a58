"""The storyboard of a film: thumbnails in one JPEG, and a WebVTT file with their times."""

import io
from pathlib import Path

from PIL import Image

from objects.sealed_file import PLAIN, Files
from recorder import containers
from recorder.compose.canvas import fit
from recorder.compose.layouts import Box
from recorder.compose.storyboard_files import storyboard_paths

_MOST = 100
_COLUMNS = 10
_SHORTEST_MS = 2000
_TILE = Box(0, 0, 160, 160)


def write_storyboard(film: Path, files: Files = PLAIN) -> None:
    """Write the storyboard beside a film; only keyframes are decoded. Raises OSError, av.FFmpegError, ValueError."""
    with containers.reading(files, film) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        length = (container.duration or 0) // 1000
        step = max(_SHORTEST_MS, -(-length // _MOST))
        tile = fit(stream.width, stream.height, _TILE)
        times = range(0, max(length, 1), step)
        rows = -(-len(times) // _COLUMNS)
        sheet = Image.new("RGB", (tile.width * min(_COLUMNS, len(times)), tile.height * rows))
        cues = ["WEBVTT"]
        pictures, times_file = storyboard_paths(film)
        for index, ms in enumerate(times):
            container.seek(ms * 1000)
            frame = next(container.decode(stream), None)
            if frame is None:
                break
            x, y = index % _COLUMNS * tile.width, index // _COLUMNS * tile.height
            small = frame.reformat(width=tile.width, height=tile.height, format="rgb24")
            sheet.paste(Image.fromarray(small.to_ndarray()), (x, y))
            span = f"{_time(ms)} --> {_time(min(ms + step, length))}"
            cues.append(f"{span}\n{pictures.name}#xywh={x},{y},{tile.width},{tile.height}")
    encoded = io.BytesIO()
    sheet.save(encoded, "JPEG", quality=75)
    pictures.write_bytes(files.sealed(encoded.getvalue()))
    times_file.write_bytes(files.sealed(("\n\n".join(cues) + "\n").encode()))


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
