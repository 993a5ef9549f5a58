"""Asks a detector about the voices in a media file."""

from pathlib import Path

from inference import messages
from inference.files.read import speech_of_file
from inference.synthetic.detector import Detector, Verdict, judge

WINDOW_MS = 4000
LEAST_WINDOW_MS = 1000
MAX_WINDOWS = 150
_BYTES_PER_MS = 32


def windows_of(speech: messages.Speech) -> list[tuple[int, int, bytes]]:
    """Cut an utterance into windows of WINDOW_MS; a rest shorter than LEAST_WINDOW_MS is left out."""
    found = []
    length_ms = len(speech.pcm) // _BYTES_PER_MS
    for offset in range(0, length_ms, WINDOW_MS):
        end = min(offset + WINDOW_MS, length_ms)
        if end - offset >= LEAST_WINDOW_MS:
            pcm = speech.pcm[offset * _BYTES_PER_MS : end * _BYTES_PER_MS]
            found.append((speech.start_ms + offset, speech.start_ms + end, pcm))
    return found


async def assess_voice(descriptor: int, detector: Detector, voice_model: Path, nice: int) -> Verdict:
    """Return the verdict on the speech in the file open at `descriptor`; raises FileError and EngineError.

    The first MAX_WINDOWS windows of speech are the evidence.
    """
    windows: list[tuple[int, int, bytes]] = []
    async for message in speech_of_file(descriptor, voice_model, nice):
        if isinstance(message, messages.Speech):
            windows += windows_of(message)
        if len(windows) >= MAX_WINDOWS:
            break
    return judge(detector.card, await detector.score(windows[:MAX_WINDOWS]))
