"""The worker that reads media files: any container and codec that FFmpeg knows in, speech out.

Started as `python -m inference.files.file_worker FD VAD_MODEL NICE MEDIA_FD [cues]` with a Unix stream socket at FD and
the file, opened for reading, at MEDIA_FD. It is confined like the decode worker before the file's first byte is read.
It sends complete utterances of the first audio stream, with `cues` (extra `emotion`) each followed by its VoiceHeard,
and ends with FileProgress(done) or Failed.
"""

import io
import os
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import av
import msgspec
import numpy as np

from foundation import confinement, preload
from inference import messages
from inference.analysis.looking import Listen, voice_cues
from inference.audio.opus import SAMPLE_RATE, Samples
from inference.speech.endpointing import CHUNK, Endpointer, Piece
from inference.speech.voice_activity import VoiceActivity, VoiceState
from inference.workers.loop import confined_channel, send_all

MEMORY_BYTES = 3 << 30
LONGEST_SECONDS = 12 * 3600
_PER_MS = SAMPLE_RATE // 1000
_NOT_NEEDED = frozenset(("av.__main__", "av.datasets"))
_REPORT_EVERY = 10 * SAMPLE_RATE


def read_audio(file: IO[bytes]) -> Iterator[tuple[Samples, int]]:
    """Yield 16 kHz mono samples and the container's duration in ms (0: unknown); raises ValueError without audio."""
    try:
        with av.open(file, mode="r", metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise ValueError("the file has no audio")
            duration_ms = (container.duration or 0) * 1000 // av.time_base
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            for frame in container.decode(container.streams.audio[0]):
                for part in resampler.resample(frame):
                    yield part.to_ndarray()[0], duration_ms
            for part in resampler.resample(None):
                yield part.to_ndarray()[0], duration_ms
    except av.FFmpegError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from error


def _cut(samples: Iterator[tuple[Samples, int]], activity: VoiceActivity) -> Iterator[Piece | tuple[int, int]]:
    """Yield pieces of utterances and, now and then, (samples read, duration in ms)."""
    voice, endpointer = VoiceState(), Endpointer()
    rest, position, duration_ms, reported = np.zeros(0, np.int16), 0, 0, 0
    for part, duration_ms in samples:
        rest = np.concatenate((rest, part))
        while len(rest) >= CHUNK:
            chunk, rest = rest[:CHUNK], rest[CHUNK:]
            yield from endpointer.push(position, chunk, activity.probabilities([chunk], [voice])[0])
            position += CHUNK
        if position - reported >= _REPORT_EVERY:
            reported = position
            yield position, duration_ms
        if position > LONGEST_SECONDS * SAMPLE_RATE:
            raise ValueError(f"the file is longer than {LONGEST_SECONDS // 3600} hours")
    yield from endpointer.finish()
    yield position + len(rest), duration_ms


def _utterances(cut: Iterator[Piece | tuple[int, int]]) -> Iterator[messages.AnyMessage]:
    """Join each utterance's pieces into one message."""
    parts: list[Samples] = []
    for piece in cut:
        if isinstance(piece, tuple) and not isinstance(piece, Piece):
            yield messages.FileProgress(read_ms=piece[0] // _PER_MS, duration_ms=piece[1])
            continue
        parts.append(piece.samples)
        if piece.final:
            samples = np.concatenate(parts)[: piece.end - piece.begin]
            parts.clear()
            if not piece.discard:
                yield _speech(piece, samples)


def _speech(piece: Piece, samples: Samples) -> messages.Speech:
    return messages.Speech(
        handle=0,
        begin=piece.begin,
        start_ms=max(0, piece.begin) // _PER_MS,
        end_ms=piece.end // _PER_MS,
        samples=len(samples),
        voiced_ms=piece.voiced_ms,
        pcm=samples.astype("<i2").tobytes(),
        final=True,
    )


def _heard_in(file: IO[bytes], activity: VoiceActivity, listen: Listen | None) -> Iterator[messages.AnyMessage]:
    """Yield the utterances in a file, each with its cues if `listen` is given, and progress, the last with `done`."""
    progress = messages.FileProgress(read_ms=0, duration_ms=0)
    for message in _utterances(_cut(read_audio(file), activity)):
        yield message
        if isinstance(message, messages.FileProgress):
            progress = message
        elif listen is not None and isinstance(message, messages.Speech):
            yield _heard(message, listen)
    yield msgspec.structs.replace(progress, done=True)


def _heard(speech: messages.Speech, listen: Listen) -> messages.VoiceHeard:
    cues = listen(speech.pcm) or {}
    return messages.VoiceHeard(handle=0, start_ms=speech.start_ms, end_ms=speech.end_ms, cues=cues)


def load_everything() -> None:
    """Import the modules that PyAV loads lazily for certain streams, since files cannot be opened later."""
    preload.whole_package(av, _NOT_NEEDED)
    silence = io.BytesIO()
    with wave.open(silence, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    silence.seek(0)
    for _ in read_audio(silence):
        pass


def main(arguments: list[str]) -> None:
    """Read the file and end."""
    descriptor, model, nice, media = int(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    activity = VoiceActivity(model)
    listen = voice_cues() if arguments[4:] == ["cues"] else None
    load_everything()
    with os.fdopen(media, "rb") as file, confined_channel(descriptor) as channel:
        send_all(channel, _heard_in(file, activity, listen))


if __name__ == "__main__":
    main(sys.argv[1:])
