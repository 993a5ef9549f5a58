"""Makes the film: scene by scene, image by image, into MP4 with H264 and AAC. Memory does not grow with its length."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recorder.compose.canvas import Canvas
from recorder.compose.images import Images
from recorder.compose.scenes import HEIGHT, WIDTH, Scene, scenes
from recorder.compose.sounds import RATE, Mixer
from recorder.manifest import Manifest

FPS = 25
_MS = 1000 // FPS
_AAC_SAMPLES = 1024


def compose(root: Path, manifest: Manifest, out: Path, report: Callable[[float], None]) -> None:
    """Write the film of a finished recording, whose files are below `root`, to `out`.

    `report` is told the share that is done, once per second of film. Raises OSError, av.FFmpegError, ValueError when
    there is nothing to show.
    """
    if manifest.duration_ms <= 0 or not any(track.files for track in manifest.tracks):
        raise ValueError("the recording is empty")
    with av.open(out, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, FPS)
        video.codec_context.thread_count = 1
        video.codec_context.options = {"preset": "veryfast", "crf": "24", "g": str(2 * FPS)}
        audio = container.add_stream("aac", rate=RATE, layout="stereo")
        audio.codec_context.bit_rate = 128_000
        _write(_Film(root, manifest, container, video, audio), manifest, report)


class _Film:
    """What is being written, and how far it is."""

    def __init__(self, root: Path, manifest: Manifest, container: Any, video: Any, audio: Any) -> None:
        self._root = root
        self._tracks = {track.track: track for track in manifest.tracks}
        self._container = container
        self._video, self._audio = video, audio
        self._canvas = Canvas()
        self._images: dict[str, Images] = {}
        self._mixer = Mixer(root, [track for track in manifest.tracks if track.media == "audio" and track.files])
        self._samples = 0

    def begin(self, scene: Scene) -> None:
        wanted = {tile.track for tile in scene.tiles if tile.track is not None}
        for name in [name for name in self._images if name not in wanted]:
            self._images.pop(name).close()
        for name in wanted - self._images.keys():
            self._images[name] = Images(self._root, self._tracks[name])
        self._canvas.begin(scene)

    def draw(self, scene: Scene, index: int, is_first: bool) -> None:
        """Encode the picture number `index`."""
        for tile in scene.tiles:
            if tile.track is None:
                continue
            image, is_new = self._images[tile.track].at(index * _MS)
            if image is not None and (is_new or is_first):
                self._canvas.show(tile, image)
        frame = self._canvas.frame()
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        self._container.mux(self._video.encode(frame))

    def sound(self, until: int) -> None:
        """Encode sound up to sample `until`."""
        while self._samples < until:
            frame = av.AudioFrame.from_ndarray(self._mixer.window(self._samples, _AAC_SAMPLES), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
            self._container.mux(self._audio.encode(frame))
            self._samples += _AAC_SAMPLES

    def end(self) -> None:
        self._container.mux(self._video.encode(None))
        self._container.mux(self._audio.encode(None))
        for images in self._images.values():
            images.close()


def _write(film: _Film, manifest: Manifest, report: Callable[[float], None]) -> None:
    total = -(-manifest.duration_ms // _MS)
    index = 0
    for scene in scenes(manifest):
        film.begin(scene)
        is_first = True
        while index < total and (index * _MS < scene.end_ms):
            film.draw(scene, index, is_first)
            is_first = False
            index += 1
            if index % FPS == 0:
                film.sound(index * RATE // FPS)
                report(index / total)
    film.sound(manifest.duration_ms * RATE // 1000)
    film.end()
