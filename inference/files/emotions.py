"""Expressions of the faces in a media file over time, and prosody of its speech."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference import messages
from inference.analysis.mood import Mood
from inference.files.read import FileError, faces_of_file, speech_of_file
from inference.files.transcribe import Progress

NOTICE = "Expressions describe how a face looks, cues how a voice sounds. Neither shows what a person feels."
MAX_UTTERANCES = 5000


@dataclass(slots=True)
class Findings:
    """Results for a file: spans of one expression ("uncertain" is one, None means no face), and cues."""

    pictures: int = 0
    with_faces: int = 0
    spans: list[dict[str, Any]] = field(default_factory=list)
    voice: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the results as plain values."""
        return {
            "notice": NOTICE,
            "pictures": self.pictures,
            "with_faces": self.with_faces,
            "expressions": self.spans,
            "voice_cues": self.voice,
            "missing": self.missing,
        }

    def add(self, at_ms: int, name: str | None) -> None:
        """Extend the last span, or start another."""
        if self.spans and self.spans[-1]["expression"] == name:
            self.spans[-1]["end_ms"] = at_ms
        else:
            self.spans.append({"start_ms": at_ms, "end_ms": at_ms, "expression": name})


async def emotions_of_file(
    descriptor: int, faces: Path, voice_model: Path | None, nice: int
) -> AsyncIterator[Progress | dict[str, Any]]:
    """Yield the progress of reading the media file open at `descriptor`, then its findings; raises FileError.

    A file may lack sound or pictures; the findings say which is missing.
    """
    found, mood = Findings(), Mood()
    try:
        async for seen in faces_of_file(descriptor, faces, nice, "emotion"):
            if isinstance(seen, messages.FileProgress):
                yield Progress(seen.read_ms, seen.duration_ms, done=False)
                continue
            found.pictures += 1
            found.with_faces += bool(seen.faces)
            if seen.faces:
                mood.observe(seen.at_ms, seen.faces[0].expressions)
            expression = mood.now(seen.at_ms)
            found.add(seen.at_ms, None if expression is None else expression.name)
    except FileError as error:
        found.missing.append(str(error))
    if voice_model is None:
        found.missing.append("no voice activity model")
    else:
        os.lseek(descriptor, 0, os.SEEK_SET)  # the first reader has moved the shared file position
        try:
            async for heard in speech_of_file(descriptor, voice_model, nice, cues=True):
                if isinstance(heard, messages.VoiceHeard) and len(found.voice) < MAX_UTTERANCES:
                    found.voice.append({"start_ms": heard.start_ms, "end_ms": heard.end_ms, **heard.cues})
        except FileError as error:
            found.missing.append(str(error))
    if len(found.missing) == 2 and not found.pictures:
        raise FileError("; ".join(found.missing))
    yield found.document()
