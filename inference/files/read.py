"""Reading of a media file's speech and pictures by workers."""

from collections.abc import AsyncIterator
from pathlib import Path

from inference import messages
from inference.workers.process import WorkerProcess


class FileError(Exception):
    """The file could not be read; the message is a sentence for its sender."""


async def speech_of_file(
    descriptor: int, voice_model: Path, nice: int, *, cues: bool = False
) -> AsyncIterator[messages.Speech | messages.VoiceHeard | messages.FileProgress]:
    """Yield the utterances in the media file open at `descriptor`, in order, and progress, the last with `done`.

    With `cues` (extra `emotion`), each utterance is followed by its cues. Raises FileError.
    """
    arguments = [str(voice_model), str(nice), str(descriptor), *(["cues"] if cues else [])]
    async for message in _read("inference.files.file_worker", arguments, descriptor):
        if isinstance(message, messages.Speech | messages.VoiceHeard | messages.FileProgress):
            yield message


async def faces_of_file(
    descriptor: int, faces: Path, nice: int, wanted: str
) -> AsyncIterator[messages.PictureSeen | messages.FileProgress]:
    """Analyse one picture per second of the media file open at `descriptor`; yield progress, the last with `done`.

    `wanted` is as in inference.analysis_worker; `faces` is the directory of that model. Raises FileError.
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
