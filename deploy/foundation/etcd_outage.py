"""Outages of etcd: pauses between attempts, and a log line of the process when it becomes unavailable and when all of
its users can use it again.
"""

import logging
import time
import weakref

from foundation.backoff import Backoff
from foundation.etcd import EtcdRefused, EtcdUnavailable
from foundation.failures import describe

_LONGEST_PAUSE = 30.0
_SAY_AGAIN_SECONDS = 600.0  # as for other outages
_away: "weakref.WeakSet[EtcdOutage]" = weakref.WeakSet()
"""The users of etcd in this process that cannot use it now."""


class EtcdOutage:
    """An outage of etcd as seen by one of its users. `consequence` says what it means there ("not registered")."""

    def __init__(self, consequence: str, log: logging.Logger, pause_seconds: float = 0.5) -> None:
        self._consequence = consequence
        self._log = log
        self._pause = pause_seconds
        self._refusals = Backoff(_LONGEST_PAUSE, first=pause_seconds)
        self._said = ""
        self._said_at = 0.0
        self.reason = ""
        """The reason that etcd cannot be used; empty while it can."""

    def failed(self, error: EtcdUnavailable) -> float:
        """Note a failure; return the pause in seconds: longer each time while etcd refuses, to spare it work."""
        self.begin(describe(error))
        return self._refusals.pause() if isinstance(error, EtcdRefused) else self._pause

    def begin(self, reason: str) -> None:
        """Note the reason that etcd cannot be used. The process logs the first one at once, and further reasons of the
        same user every ten minutes at most.
        """
        now = time.monotonic()
        is_news = self._said not in ("", reason) and now - self._said_at > _SAY_AGAIN_SECONDS
        if not _away or is_news:
            self._said, self._said_at = reason, now
            self._log.warning("%s: etcd: %s", self._consequence, reason)
        _away.add(self)
        self.reason = reason

    def end(self) -> None:
        """Note that etcd answers."""
        if self in _away:
            _away.discard(self)
            if not _away:
                self._log.warning("etcd is back")
        self._said = self.reason = ""
        self._refusals.reset()
