"""The worker that scores voices with onnxruntime: windows in, probabilities out. No network, no secrets, no files.

Started as `python -m inference.detector_worker FD MODEL_DIRECTORY NICE` with a Unix stream socket at FD. It ends when
its socket closes.
"""

import functools
import sys
from pathlib import Path

import numpy as np

from foundation import confinement
from inference import messages
from inference.models import store
from inference.synthetic.features import RATE
from inference.synthetic.voice_model import VoiceModel
from inference.workers.loop import answer, confined_channel

MEMORY_BYTES = 2 << 30


def _judge(model: VoiceModel, request: messages.AnyMessage) -> messages.AnyMessage:
    if not isinstance(request, messages.Judge):
        raise ValueError("not a request to judge")
    sounds = [np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768) for pcm in request.windows]
    return messages.Judged(scores=tuple(model.scores(sounds)))


def main(arguments: list[str]) -> None:
    """Run the worker until its socket closes."""
    descriptor, directory, nice = int(arguments[0]), Path(arguments[1]), int(arguments[2])
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    model = VoiceModel(directory)
    identity = store.identity(directory)
    model.scores([np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)])
    with confined_channel(descriptor, identity) as channel:
        answer(channel, functools.partial(_judge, model))


if __name__ == "__main__":
    main(sys.argv[1:])
