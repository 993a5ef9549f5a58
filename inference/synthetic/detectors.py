"""Detectors of synthetic media other than Triton's: one in our own worker, and a chain of several."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from inference import messages
from inference.breaker import Breaker
from inference.model_error import ModelError
from inference.synthetic.detector import Detector, ModelCard, Window
from inference.workers.request import RequestWorker

TIMEOUT_SECONDS = 30.0
_WINDOWS_AT_ONCE = 32


class LocalDetector:
    """A detector of voices (inference.synthetic.detector.Detector). `run` keeps its worker running until cancelled."""

    def __init__(self, card: ModelCard, *, nice: int, changed: Callable[[], None]) -> None:
        """`changed` is called when `ready` changes."""
        self.card = card
        self._nice = nice
        self._worker = RequestWorker("detector", "detector of voices", timeout=TIMEOUT_SECONDS, changed=changed)

    @property
    def ready(self) -> bool:
        """True if the worker has loaded the model."""
        return self._worker.model is not None

    async def run(self, directory: Path) -> None:
        """Keep a worker with the model in `directory` running until cancelled."""
        await self._worker.run("inference.detector_worker", str(directory), str(self._nice))

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        """Return the windows with their scores, without those with too little voice; raises ModelError."""
        scored: list[Window] = []
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            asked = windows[start : start + _WINDOWS_AT_ONCE]
            reply = await self._worker.ask(messages.Judge(windows=tuple(data for _, _, data in asked)))
            if not isinstance(reply, messages.Judged) or len(reply.scores) != len(asked):
                raise ModelError("unexpected answer from the detector of voices")
            pairs = zip(asked, reply.scores, strict=True)
            scored += [Window(begin, end, score) for (begin, end, _), score in pairs if score is not None]
        return scored


class FirstOf:
    """Detectors with the same model. The first to answer counts; one that keeps failing is skipped for a while.

    `equals` take turns at being asked first; `last` is asked if none of them answers. At least one must be given.
    """

    def __init__(self, equals: Sequence[Detector], last: Sequence[Detector] = ()) -> None:
        self.card = (*equals, *last)[0].card
        self._equals = deque((detector, Breaker()) for detector in equals)
        self._last = [(detector, Breaker()) for detector in last]

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        """Return the first answer; raises ModelError if no detector gives one."""
        error = ModelError("no detector is available")
        asked = (*self._equals, *self._last)
        self._equals.rotate(-1)
        for detector, breaker in asked:
            if not breaker.allows(time.monotonic_ns()):
                continue
            try:
                scored = await detector.score(windows)
            except ModelError as failure:
                breaker.failed(time.monotonic_ns())
                error = failure
            else:
                breaker.succeeded()
                return scored
        raise error
