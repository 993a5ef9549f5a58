"""The speech in a media file, as the file worker finds it."""

from collections.abc import AsyncIterator
from pathlib import Path

from inference import messages
from inference.child import Child


class FileError(Exception):
    """Why a file could not be read, as a sentence for the person who sent it."""


async def speech_of_file(
    descriptor: int, voice_model: Path, nice: int
) -> AsyncIterator[messages.Speech | messages.FileProgress]:
    """Read the media file open at `descriptor`: utterances in order, and progress, the last one `done`.

    Raises FileError.
    """
    child = await Child.start(
        "inference.files.file_worker", str(voice_model), str(nice), str(descriptor), descriptors=(descriptor,)
    )
    try:
        while (message := await child.receive()) is not None:
            if isinstance(message, messages.Failed):
                raise FileError(message.reason)
            if isinstance(message, messages.Speech | messages.FileProgress):
                yield message
            if isinstance(message, messages.FileProgress) and message.done:
                return
        raise FileError("the file could not be read: its decoder died on it")
    finally:
        await child.stop()
