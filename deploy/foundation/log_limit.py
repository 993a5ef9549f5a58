"""Lines of a log, limited by kind: endless repetition says nothing new, and fills disks.

A kind is a logger with a message's template. The first LINES of each are written; further ones within SECONDS are
counted, and summed up in one line when that time is over. DEBUG is not limited: somebody is watching.
"""

import logging
import threading
import time
from typing import NamedTuple, TextIO

from prometheus_client import Counter

LINES = 30
SECONDS = 10.0
_MAX_KINDS = 1000
_LEFT_OUT = Counter("parley_log_lines_left_out_total", "Lines like others that were counted instead", ["logger"])


class Kind(NamedTuple):
    """Lines that differ only in their arguments."""

    logger: str
    level: int
    template: str


class Limit:
    """Counts lines by kind. Without a clock: `now` is in seconds."""

    def __init__(self, lines: int = LINES, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._lines = lines
        self._kinds: dict[Kind, tuple[float, int]] = {}

    def take(self, kind: Kind, now: float) -> bool:
        """Return True if a line should be written."""
        if kind not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            kind = Kind("parley", logging.WARNING, "(of further kinds)")
        began, count = self._kinds.get(kind, (now, 0))
        self._kinds[kind] = (began, count + 1)
        return count < self._lines

    def over(self, now: float) -> list[tuple[Kind, int]]:
        """Forget the kinds whose time is over; returns those with lines left out, and how many."""
        ended = [kind for kind, (began, _) in self._kinds.items() if now - began >= self.seconds]
        counts = [(kind, self._kinds.pop(kind)[1] - self._lines) for kind in ended]
        return [(kind, left_out) for kind, left_out in counts if left_out > 0]


class LimitedHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream, within the limit."""

    def __init__(self, stream: TextIO, limit: Limit | None = None) -> None:
        super().__init__(stream)
        self._limit = limit or Limit()
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it (called with the handler's lock held)."""
        if record.levelno <= logging.DEBUG:
            super().emit(record)
            return
        self._tell(time.monotonic())
        if self._limit.take(Kind(record.name, record.levelno, str(record.msg)), time.monotonic()):
            super().emit(record)
            return
        _LEFT_OUT.labels(record.name).inc()
        if self._timer is None:  # nobody may log again for long
            self._timer = threading.Timer(self._limit.seconds, self._time_is_over)
            self._timer.daemon = True
            self._timer.start()

    def _time_is_over(self) -> None:
        with self.lock or threading.RLock():
            self._timer = None
            self._tell(time.monotonic())

    def _tell(self, now: float) -> None:
        for kind, left_out in self._limit.over(now):
            said = f"%d more lines in {self._limit.seconds:.0f} s like: %s"
            super().emit(logging.LogRecord(kind.logger, kind.level, "", 0, said, (left_out, kind.template), None))

    def close(self) -> None:
        """Write how many lines have been left out so far."""
        with self.lock or threading.RLock():
            if self._timer is not None:
                self._timer.cancel()
            self._tell(float("inf"))
        super().close()
