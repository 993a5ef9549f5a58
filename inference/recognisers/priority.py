"""Priority of live speech over files: a clip of a file waits while a live batch is running, for a limited time."""

import asyncio
import contextlib
from collections.abc import Sequence

from inference.messages import ClipMessage
from inference.recognisers.recogniser import Recogniser
from inference.speech.transcript import Transcript

LONGEST_WAIT_SECONDS = 10.0
"""Longest wait of a file's clip, even if a meeting never pauses."""


class LivePriority:
    """A recogniser for live speech, with a second interface for files, which wait."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def max_batch(self) -> int:
        return self._recogniser.max_batch

    @property
    def model(self) -> str | None:
        return self._recogniser.model

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts; raises ModelError."""
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._recogniser.transcribe(clips)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def transcribe_when_idle(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the transcripts of a file's clips. Start when no live batch is running, or after the longest wait."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), LONGEST_WAIT_SECONDS)
        return await self._recogniser.transcribe(clips)


class LowPriority:
    """The same recogniser, for files, which wait for live speech."""

    def __init__(self, live: LivePriority) -> None:
        self._live = live

    @property
    def max_batch(self) -> int:
        return self._live.max_batch

    @property
    def model(self) -> str | None:
        return self._live.model

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts once live speech allows it; raises ModelError."""
        return await self._live.transcribe_when_idle(clips)
