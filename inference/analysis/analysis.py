"""Analysis of live tracks: the media wanted from the sfu, the worker, the detectors, and the results.

Emotion needs three things: the extra `emotion`, its model, and an administrator who switches it on
(inference.setup_watch). Synthetic media need a detector, and for faces the same model. A track arrives here only while
its participant consents to analysis. Its results are deleted with it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference import messages
from inference.analysis.detection import Detection
from inference.analysis.feed import AnalysisFeed, Seen
from inference.analysis.live import ANALYSIS, LiveAnalysis
from inference.analysis.looking import emotion_installed
from inference.analysis.voice_windows import VoiceWindows
from inference.models import catalogue, store
from inference.models.catalogue import FACES_MODEL
from inference.synthetic.assess import window_of_face
from inference.synthetic.detector import Detector, Medium
from sfu.api.sink_records import AnalysisWanted, AnyRecord, TrackClosed, TrackOpened


class Analysis:
    """All analysis in an inference process. `send` reaches the sfu; `changed` is called when `wanted` changes."""

    def __init__(
        self, models_dir: Path, nice: int, *, send: Callable[[AnyRecord], None], changed: Callable[[], None]
    ) -> None:
        self._live = LiveAnalysis()
        self.feed = AnalysisFeed(nice, seen=self._seen, ask=send)
        self.detection = Detection(self._live.window)
        self._windows = VoiceWindows()
        self._models_dir = models_dir
        self._changed = changed
        self._switched_on = False
        self._faces: Path | None = None
        self._microphones: dict[int, TrackOpened] = {}
        self._told = AnalysisWanted()

    @property
    def faces(self) -> Path | None:
        """The directory of the nets for faces, once fetched."""
        return self._faces

    @property
    def emotion(self) -> bool:
        """True if expressions and cues are reported: emotion is installed, fetched and switched on."""
        return self._switched_on and emotion_installed() and self._faces is not None

    def emotion_state(self) -> dict[str, bool]:
        """Return the requirements of emotion, with True for each that is met."""
        return {
            "installed": emotion_installed(),
            "model": self._faces is not None,
            "switched_on": self._switched_on,
            "works": self.emotion,
        }

    @property
    def wanted(self) -> AnalysisWanted:
        """The media that the models want."""
        cards = self.detection.cards
        faces = self._faces is not None and (self.emotion or Medium.FACE in cards)
        return AnalysisWanted(audio=self.emotion or Medium.VOICE in cards, video=faces)

    def switch(self, on: bool) -> None:
        """Switch emotion on or off, as an administrator has decided."""
        self._switched_on = on
        self._update()

    def add_detector(self, detector: Detector) -> None:
        """Add a detector of synthetic media."""
        self.detection.add(detector)
        self._update()

    def opened(self, track: TrackOpened) -> None:
        """Add a track that the sfu opened, if it is to be analysed."""
        if ANALYSIS not in track.uses:
            return
        self._live.opened(track)
        if track.media == "video":
            self.feed.opened(track)
        else:
            self._microphones[track.handle] = track

    def closed(self, record: TrackClosed) -> None:
        """Remove a track."""
        self._live.closed(record.handle)
        self.detection.forget(record.handle)
        self._windows.forget(record.handle)
        if self._microphones.pop(record.handle, None) is not None or self.feed.has(record.handle):
            self.feed.closed(record)

    def detached(self) -> None:
        """Remove all tracks after the sfu has disconnected."""
        for handle in [*self._microphones, *(track.handle for track in self.feed.tracks())]:
            self.closed(TrackClosed(handle=handle, reason="shutdown"))

    def spoken(self, speech: messages.Speech) -> None:
        """Process audio of an utterance from an analysed microphone."""
        if self._live.track(speech.handle) is None:
            return
        if self.emotion:
            self.feed.spoken(speech)
        if Medium.VOICE in self.detection.cards:
            for window in self._windows.add(speech):
                self.detection.put(speech.handle, Medium.VOICE, window)

    def report(self, room: str, track: str) -> dict[str, Any] | None:
        """Return the results for a live track, or None if it is not analysed."""
        return self._live.report(room, track, self.detection.cards)

    async def run(self) -> None:
        """Wait for the nets, then keep the worker and the detectors running, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.detection.run(), name="detection")
            faces = await store.appears(self._models_dir, catalogue.load().named(FACES_MODEL))
            self._faces = faces
            self._update()
            await self.feed.run(faces)

    def _update(self) -> None:
        self._live.emotion = self.emotion
        crops = Medium.FACE in self.detection.cards
        self.feed.want(",".join(word for word, on in (("emotion", self.emotion), ("crops", crops)) if on))
        if self.wanted != self._told:
            self._told = self.wanted
            self._changed()

    def _seen(self, seen: Seen) -> None:
        if isinstance(seen, messages.VoiceHeard):
            self._live.voice(seen)
            return
        self._live.picture(seen)
        if (window := window_of_face(seen)) is not None and self._live.track(seen.handle) is not None:
            self.detection.put(seen.handle, Medium.FACE, window)
