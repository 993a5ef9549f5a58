"""The sound of a film, encoded while its recording runs: by one encoder from the beginning to the end, so it has no
seams.

The gain is that of the whole, which is not known before the end. So encoding begins when some minutes are measured. It
begins again, with a better gain, if what follows is louder or quieter. At the end the gain is as good as that of a
finished recording, or the sound is given up and encoded anew after the end.
"""

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from foundation.film_options import Format
from objects.sealed_file import Files
from recorder import containers
from recorder.compose import formats
from recorder.compose.encoded_sound import SoundEncoder
from recorder.compose.formats import FORMATS
from recorder.compose.limiter import Limiter
from recorder.compose.loudness import Loudness, gain_to_target
from recorder.compose.samples import Samples
from recorder.compose.sounds import GrowingMix
from recorder.manifest import Manifest, ManifestTrack

SETTLED_MS = 300_000
"""The length of sound whose loudness is likely that of the whole. A shorter film's sound is encoded in seconds."""
_AGAIN_DB = 0.5
"""The deviation of the gain above which encoding begins again: EBU R 128 allows as much for files."""
_MOST_DB = 1.0
"""The deviation of the gain that a film may have: EBU R 128 allows as much for live programmes."""
_STEP_MS = 120_000
"""The length of sound that is processed at a time, so that the picture also gets on."""
_MOST_LEFT_MS = 600_000
"""The length of sound that is worth waiting for after the end; if more is missing, it is made beside the picture."""
_MARGIN_MS = 100
"""The distance to the end of what is captured: the lengths of last frames are estimates."""
MOVED_MS = 20
"""The difference of times that may come from clocks that were known less well during the recording. Picture and sound
stay within 40 ms of each other.
"""


class EarlySound:
    """The sound of a running recording. `directory` is that of the film's parts."""

    def __init__(self, root: Path, directory: Path, form: Format, files: Files) -> None:
        self._root = root
        self._form: Format = form
        self._files = files
        self._part = formats.sound_part(directory, form)
        self._measured = GrowingMix(root, files)
        self._loudness = Loudness()
        self._encoding: _Encoding | None = None

    def advance(self, tracks: Sequence[ManifestTrack], until_ms: int) -> bool:
        """Process some of what is captured; return True if there is more. Raises OSError, av.FFmpegError."""
        end = until_ms - _MARGIN_MS
        more = self._measure(tracks, min(end, self._measured.end_ms + _STEP_MS)) < end
        if self._measured.end_ms < SETTLED_MS or not self._measured.is_whole:
            return more
        if self._encoding is None or self._deviation(self._loudness.so_far()) > _AGAIN_DB:
            self.close()
            self._encoding = self._begin()
        self._encoding.add(tracks, min(end, self._encoding.end_ms + _STEP_MS))
        return more or self._encoding.end_ms < end

    def finish(self, tracks: Sequence[ManifestTrack], manifest: Manifest) -> bool:
        """Encode the rest up to the end of the finished recording, whose segments are `tracks`.

        Return False if the sound is not that of the finished recording: then there is none. Raises OSError,
        av.FFmpegError.
        """
        encoding = self._encoding
        if encoding is None or manifest.duration_ms - encoding.end_ms > _MOST_LEFT_MS:
            return False
        self._measure(tracks, manifest.duration_ms)
        if self._deviation(self._loudness.integrated()) > _MOST_DB:
            return False
        encoding.finish(tracks, manifest.duration_ms)
        if not (self._measured.is_whole and encoding.is_of(manifest)):
            return False
        encoding.path.replace(self._part)
        return True

    def close(self) -> None:
        """Give up what is not finished."""
        if self._encoding is not None:
            self._encoding.close()
            self._encoding = None

    def _begin(self) -> "_Encoding":
        unfinished = self._part.with_suffix(f".{os.getpid()}.tmp")
        return _Encoding(self._root, unfinished, self._form, self._files, gain_to_target(self._loudness.so_far()))

    def _measure(self, tracks: Sequence[ManifestTrack], until_ms: int) -> int:
        self._measured.follow(tracks)
        for window in self._measured.until(until_ms):
            self._loudness.add(window)
        return self._measured.end_ms

    def _deviation(self, lufs: float | None) -> float:
        """Return the distance in dB of the gain in use from the one for this loudness."""
        assert self._encoding is not None
        return abs(20 * math.log10(gain_to_target(lufs) / self._encoding.gain))


class _Encoding:
    """The mix with a gain, limited and encoded from the beginning on."""

    def __init__(self, root: Path, path: Path, form: Format, files: Files, gain: float) -> None:
        codecs = FORMATS[form]
        self.path = path
        self.gain = gain
        self._mix = GrowingMix(root, files)
        self._limiter = Limiter()
        self._open = ExitStack()
        self._container = self._open.enter_context(containers.writing(files, path, codecs.container))
        self._encoder = SoundEncoder(formats.add_audio(self._container, codecs.audio), codecs.frame_samples)

    @property
    def end_ms(self) -> int:
        return self._mix.end_ms

    def add(self, tracks: Sequence[ManifestTrack], until_ms: int) -> None:
        self._mix.follow(tracks)
        for window in self._mix.until(until_ms):
            self._encode(self._limiter.process(window * self.gain))

    def finish(self, tracks: Sequence[ManifestTrack], end_ms: int) -> None:
        self.add(tracks, end_ms)
        self._encode(self._limiter.flush())
        for packet in self._encoder.close():
            self._container.mux(packet)
        self._open.close()

    def is_of(self, manifest: Manifest) -> bool:
        """Return True if the mix is that of a finished recording: of its segments, at their times."""
        tracks = [track for track in manifest.tracks if track.media == "audio"]
        found = {one.key: one.start_ms for track in tracks for one in track.segments if one.start_ms is not None}
        used = self._mix.starts
        missing = [start for key, start in found.items() if key not in used and start >= 0]
        moved = [key for key, start in used.items() if abs(found.get(key, -MOVED_MS - 1) - start) > MOVED_MS]
        return self._mix.is_whole and not missing and not moved

    def close(self) -> None:
        self._open.close()
        self.path.unlink(missing_ok=True)

    def _encode(self, samples: Samples) -> None:
        for packet in self._encoder.add(samples):
            self._container.mux(packet)
