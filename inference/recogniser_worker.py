"""The worker that recognises speech with onnxruntime: clips in, transcripts out. No network, no secrets, no files.

Started as `python -m inference.recogniser_worker FD MODEL_DIRECTORY THREADS NICE` with a Unix stream
socket at FD. It ends when its socket closes.
"""

import functools
import sys
import time
from pathlib import Path

import numpy as np

from foundation import confinement
from inference import messages
from inference.models import store
from inference.speech.whisper import Clip, WhisperModel
from inference.workers.loop import answer, confined_channel

MEMORY_BYTES = 6 << 30


def clip_of(message: messages.ClipMessage) -> Clip:
    """Return a clip in the form that the model takes."""
    samples = np.frombuffer(message.pcm, "<i2").astype(np.float32) / np.float32(32768)
    return Clip(samples, language=message.language, prior=message.prior)


def _recognise(model: WhisperModel, request: messages.AnyMessage) -> messages.AnyMessage:
    if not isinstance(request, messages.Recognise):
        raise ValueError("not a request to recognise")
    began = time.monotonic()
    transcripts = model.transcribe([clip_of(clip) for clip in request.clips])
    return messages.Recognised(transcripts=tuple(transcripts), seconds=time.monotonic() - began)


def main(arguments: list[str]) -> None:
    """Run the worker until its socket closes."""
    descriptor, directory, threads, nice = int(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    model = WhisperModel(directory, threads)
    identity = store.identity(directory)
    model.transcribe([Clip(np.zeros(1600, np.float32))])
    with confined_channel(descriptor, identity) as channel:
        answer(channel, functools.partial(_recognise, model))


if __name__ == "__main__":
    main(sys.argv[1:])
