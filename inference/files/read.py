"""The speech in a media file, as the file worker finds it."""

from collections.abc import AsyncIterator
from pathlib import Path

from inference import messages
from inference.workers.process import WorkerProcess


class FileError(Exception):
    """A file could not be read; the message is a sentence for the person who sent it."""


async def speech_of_file(
    descriptor: int, voice_model: Path, nice: int, *, cues: bool = False
) -> AsyncIterator[messages.Speech | messages.VoiceHeard | messages.FileProgress]:
    """Read the media file open at `descriptor`: utterances in order, and progress, the last one `done`.

    With `cues` (extra `emotion`) each utterance is followed by how it was said. Raises FileError.
    """
    arguments = [str(voice_model), str(nice), str(descriptor), *(["cues"] if cues else [])]
    async for message in _read("inference.files.file_worker", arguments, descriptor):
        if isinstance(message, messages.Speech | messages.VoiceHeard | messages.FileProgress):
            yield message


async def faces_of_file(
    descriptor: int, faces: Path, nice: int, wanted: str
) -> AsyncIterator[messages.PictureSeen | messages.FileProgress]:
    """Look at a picture a second of the media file open at `descriptor`; progress, the last one `done`.

    `wanted` as in inference.analysis_worker, `faces` the directory of that model. Raises FileError.
    """
    arguments = [str(faces), str(nice), str(descriptor), wanted]
    async for message in _read("inference.files.picture_worker", arguments, descriptor):
        if isinstance(message, messages.PictureSeen | messages.FileProgress):
            yield message


async def _read(module: str, arguments: list[str], descriptor: int) -> AsyncIterator[messages.AnyMessage]:
    worker = await WorkerProcess.start(module, *arguments, descriptors=(descriptor,))
    try:
        while (message := await worker.receive()) is not None:
            if isinstance(message, messages.Failed):
                raise FileError(message.reason)
            yield message
            if isinstance(message, messages.FileProgress) and message.done:
                return
        raise FileError("the file could not be read: its decoder crashed")
    finally:
        await worker.stop()
