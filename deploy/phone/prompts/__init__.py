"""The prompts that callers hear: Opus files of this folder, or WAV files of the operator's."""

import io
import logging
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import av
import numpy as np

from foundation.libopus import OpusDecoder
from phone.media.audio_codecs import Samples

_log = logging.getLogger(__name__)
NAMES = (
    "enter-pin",
    "wrong-pin",
    "too-many-attempts",
    "cannot-join",
    "lobby",
    "denied",
    "joined",
    "muted",
    "unmuted",
    "muted-by-host",
    "unmuted-by-host",
    "hand-raised",
    "hand-lowered",
    "recording",
    "consent-required",
    "removed",
    "ended",
    "lost",
    "goodbye",
)
LANGUAGES = ("en", "zh-CN")
_LONGEST_SECONDS = 30


class Prompts:
    """The prompts in one language. A file `NAME.wav` of `directory` replaces ours."""

    def __init__(self, language: str, directory: Path | None) -> None:
        self._language = language
        self._directory = directory
        self._found = lru_cache(maxsize=4 * len(NAMES))(self._load)

    def samples(self, name: str, rate: int) -> Samples:
        """Return a prompt at a sampling rate; silence of 0.2 s if it cannot be read."""
        return self._found(name, rate)

    def _load(self, name: str, rate: int) -> Samples:
        own = self._directory / f"{name}.wav" if self._directory is not None else None
        if own is not None and own.is_file():
            try:
                return _read_wav(own, rate)
            except (OSError, av.FFmpegError, ValueError) as error:
                _log.warning("the prompt %s cannot be read: %s", own, error)
        return _read_opus((files(__name__) / self._language / f"{name}.opus").read_bytes(), rate)


def _read_opus(data: bytes, rate: int) -> Samples:
    """Decode a file of ours; libopus decodes at the rate that is needed."""
    decoder = OpusDecoder(rate)
    with av.open(io.BytesIO(data), "r") as container:
        found = [decoder.decode(bytes(packet)) for packet in container.demux(audio=0) if packet.size]
    return np.frombuffer(b"".join(found), np.int16)


def _read_wav(path: Path, rate: int) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            found += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        found += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    samples: Samples = np.concatenate(found).astype(np.int16)
    return samples[: rate * _LONGEST_SECONDS]
