"""Scoring of live tracks by detectors of synthetic media. For each track, only the latest piece waits."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from foundation.failures import describe
from inference.metrics import DROPS
from inference.synthetic.detector import Detector, Medium, ModelCard, Window

_log = logging.getLogger(__name__)

MAX_WAITING = 1000
Piece = tuple[int, int, bytes]
"""(start_ms, end_ms, data), as taken by Detector.score."""


class Detection:
    """Detectors by medium. `scored` gets each window with the handle of its track."""

    def __init__(self, scored: Callable[[int, Window], None]) -> None:
        self._scored = scored
        self._detectors: dict[Medium, Detector] = {}
        self._waiting: OrderedDict[int, tuple[Medium, Piece]] = OrderedDict()
        self._wake = asyncio.Event()

    @property
    def cards(self) -> dict[Medium, ModelCard]:
        """The model cards of the available detectors."""
        return {medium: detector.card for medium, detector in self._detectors.items()}

    def detector(self, medium: Medium) -> Detector | None:
        """Return the detector of a medium, if there is one."""
        return self._detectors.get(medium)

    def add(self, detector: Detector) -> None:
        """Add a detector."""
        self._detectors[detector.card.medium] = detector

    def put(self, handle: int, medium: Medium, piece: Piece) -> None:
        """Queue a piece of a track for scoring, in place of one that is waiting."""
        if medium not in self._detectors:
            return
        if self._waiting.pop(handle, None) is not None:
            DROPS.labels("detector", "newer").inc()
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popitem(last=False)
            DROPS.labels("detector", "full").inc()
        self._waiting[handle] = medium, piece
        self._wake.set()

    def forget(self, handle: int) -> None:
        """Stop analysing a track."""
        self._waiting.pop(handle, None)

    async def run(self) -> None:
        """Score the waiting pieces, oldest first, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                handle, (medium, piece) = self._waiting.popitem(last=False)
                try:
                    windows = await self._detectors[medium].score([piece])
                except Exception as error:  # a failure must not affect the next pieces
                    DROPS.labels("detector", "failed").inc()
                    _log.warning("cannot score a window: %s", describe(error))
                    continue
                for window in windows:
                    self._scored(handle, window)
