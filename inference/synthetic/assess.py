"""Verdict of a detector on the voices or the faces in a media file."""

from pathlib import Path

from inference import messages
from inference.files.read import faces_of_file, speech_of_file
from inference.synthetic.detector import Detector, Verdict, judge

WINDOW_MS = 4000
LEAST_WINDOW_MS = 1000
PICTURE_MS = 1000
MAX_WINDOWS = 150
BYTES_PER_MS = 32
Piece = tuple[int, int, bytes]


def windows_of(speech: messages.Speech) -> list[Piece]:
    """Cut an utterance into windows of WINDOW_MS; a remainder shorter than LEAST_WINDOW_MS is omitted."""
    found = []
    length_ms = len(speech.pcm) // BYTES_PER_MS
    for offset in range(0, length_ms, WINDOW_MS):
        end = min(offset + WINDOW_MS, length_ms)
        if end - offset >= LEAST_WINDOW_MS:
            pcm = speech.pcm[offset * BYTES_PER_MS : end * BYTES_PER_MS]
            found.append((speech.start_ms + offset, speech.start_ms + end, pcm))
    return found


def window_of_face(seen: messages.PictureSeen) -> Piece | None:
    """Return the largest face as a window over the time that its picture represents."""
    if not seen.faces or not seen.faces[0].crop:
        return None
    return seen.at_ms, seen.at_ms + PICTURE_MS, seen.faces[0].crop


async def assess_voice(descriptor: int, detector: Detector, voice_model: Path, nice: int) -> Verdict:
    """Return the verdict on the speech in the file open at `descriptor`; raises FileError and ModelError.

    The first MAX_WINDOWS windows of speech are the evidence.
    """
    windows: list[Piece] = []
    async for message in speech_of_file(descriptor, voice_model, nice):
        if isinstance(message, messages.Speech):
            windows += windows_of(message)
        if len(windows) >= MAX_WINDOWS:
            break
    return judge(detector.card, await detector.score(windows[:MAX_WINDOWS]))


async def assess_faces(descriptor: int, detector: Detector, faces: Path, nice: int) -> Verdict:
    """Return the verdict on the largest face in one picture per second; raises FileError and ModelError.

    The first MAX_WINDOWS pictures with a face are the evidence.
    """
    windows: list[Piece] = []
    async for message in faces_of_file(descriptor, faces, nice, "crops"):
        if isinstance(message, messages.PictureSeen) and (window := window_of_face(message)) is not None:
            windows.append(window)
        if len(windows) >= MAX_WINDOWS:
            break
    return judge(detector.card, await detector.score(windows))
