"""The worker that scores voices with onnxruntime: windows in, probabilities out. No network, no secrets, no files.

Started as `python -m inference.detector_worker FD MODEL_DIRECTORY NICE` with a Unix stream socket at FD. It ends when
its socket closes.
"""

import contextlib
import socket
import sys
from pathlib import Path

import numpy as np

from foundation import confinement
from inference import messages
from inference.models import store
from inference.synthetic.features import RATE
from inference.synthetic.voice_model import VoiceModel

MEMORY_BYTES = 2 << 30
_RECEIVE_BYTES = 1 << 18


def _answer(model: VoiceModel, request: messages.Judge) -> messages.AnyMessage:
    try:
        sounds = [np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768) for pcm in request.windows]
        return messages.Judged(scores=tuple(model.scores(sounds)))
    except (ValueError, RuntimeError, MemoryError) as error:
        return messages.Failed(reason=f"{type(error).__name__}: {error}")


def main(arguments: list[str]) -> None:
    """Run the worker until its socket closes."""
    descriptor, directory, nice = int(arguments[0]), Path(arguments[1]), int(arguments[2])
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    model = VoiceModel(directory)
    identity = store.identity(directory)
    model.scores([np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)])
    reader = messages.FrameReader()
    with (
        socket.socket(fileno=descriptor) as channel,
        contextlib.suppress(ConnectionError),
    ):  # told to end while it works
        channel.sendall(messages.encode(messages.Ready(confined=confinement.confine(), model=identity)))
        while data := channel.recv(_RECEIVE_BYTES):
            for content in reader.feed(data):
                request = messages.decode(content)
                if isinstance(request, messages.Judge):
                    channel.sendall(messages.encode(_answer(model, request)))


if __name__ == "__main__":
    main(sys.argv[1:])
