"""A limit on repeated log lines, which say nothing new and fill disks.

A kind of line is a logger with a message template. The first LINES of each kind are written; further ones within
SECONDS are counted, and reported in one line after that time. DEBUG is not limited: somebody is watching.
"""

import logging
import threading
import time
from typing import NamedTuple, TextIO

from prometheus_client import Counter

LINES = 30
SECONDS = 10.0
_MAX_KINDS = 1000
_LEFT_OUT = Counter("parley_log_lines_left_out_total", "Repeated log lines that were counted, not written", ["logger"])


class Kind(NamedTuple):
    """A kind of line: lines that differ only in their arguments."""

    logger: str
    level: int
    template: str


class Limit:
    """Counts lines by kind. It has no clock: `now` is in seconds."""

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
        """Forget the kinds whose time is over; return those with omitted lines, and the numbers of these."""
        ended = [kind for kind, (began, _) in self._kinds.items() if now - began >= self.seconds]
        counts = [(kind, self._kinds.pop(kind)[1] - self._lines) for kind in ended]
        return [(kind, left_out) for kind, left_out in counts if left_out > 0]


class LimitedHandler(logging.StreamHandler[TextIO]):
    """A handler that writes to a stream, within the limit."""

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
        if self._timer is None:  # no further line may trigger it for a long time
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
        """Write the number of lines omitted so far."""
        with self.lock or threading.RLock():
            if self._timer is not None:
                self._timer.cancel()
            self._tell(float("inf"))
        super().close()
