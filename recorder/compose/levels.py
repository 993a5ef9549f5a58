"""Levels of sound over time, of each microphone and of their sum: from them follow the speakers and the waveform."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from objects.sealed_file import Files
from recorder.compose.samples import RATE, Samples
from recorder.compose.scenes import Speech

LEVEL_MS = 50
_BLOCK = RATE * LEVEL_MS // 1000
_SMOOTHED = 400 // LEVEL_MS
_SPEAKS = 10.0**-4.5
"""The power, relative to full scale, above which a microphone has speech: -45 dB."""
_SWITCH = 700 // LEVEL_MS
"""The time for which somebody else must be the loudest to become the speaker: a cough is not speech."""
_WAVE_GAIN = 3.0

Powers = npt.NDArray[np.float32]


class Meter:
    """Powers of each source, in blocks of LEVEL_MS of the recording; parts without samples are silent."""

    def __init__(self, sources: int, duration_ms: int) -> None:
        self.powers: Powers = np.zeros((sources, duration_ms // LEVEL_MS + RATE // _BLOCK + 1), np.float32)

    def hear(self, source: int, start: int, window: Samples) -> None:
        """Add the samples of a source from `start` on."""
        first, count = start // _BLOCK, -(-window.shape[1] // _BLOCK)
        power = np.pad((window**2).mean(axis=0), (0, count * _BLOCK - window.shape[1]))
        self.powers[source, first : first + count] = power.reshape(count, _BLOCK).mean(axis=1)


class Sound(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of a pass over the sound: the required gain, the speakers, and the waveform (0 to 1)."""

    gain: float
    speech: list[Speech]
    wave: list[float]


def sound_of(gain: float, powers: Powers, participants: Sequence[str]) -> Sound:
    """Return the findings from the powers of sources; `participants` maps sources to people."""
    wave = np.minimum(1.0, np.sqrt(powers.sum(axis=0)) * gain * _WAVE_GAIN)
    return Sound(gain=gain, speech=speech(powers, participants), wave=[round(float(level), 3) for level in wave])


def speech(powers: Powers, participants: Sequence[str]) -> list[Speech]:
    """Return the speakers, each with the start of their speech."""
    if not len(participants):
        return []
    box = np.ones(_SMOOTHED) / _SMOOTHED
    smooth = np.array([np.convolve(one, box, "same") for one in powers])
    loudest = np.where(smooth.max(axis=0) > _SPEAKS, smooth.argmax(axis=0), -1)
    found: list[Speech] = []
    speaker, candidate, since = -1, -1, 0
    for index, loud in enumerate(loudest):
        if loud != candidate:
            candidate, since = int(loud), index
        if candidate not in {-1, speaker} and (speaker < 0 or index - since >= _SWITCH):
            speaker = candidate
            if not found or found[-1].participant != participants[speaker]:
                found.append(Speech(since * LEVEL_MS, participants[speaker]))
    return found


def keep(path: Path, sound: Sound, files: Files) -> None:
    """Save the findings for the next attempt. Raises OSError."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(files.sealed(msgspec.json.encode(sound)))
    unfinished.replace(path)


def kept(path: Path, files: Files) -> Sound | None:
    """Return the findings of an earlier attempt, None if there was none."""
    return msgspec.json.decode(files.read(path), type=Sound) if path.exists() else None
