"""Going on without etcd: the pause before it is asked again, and a word in the log when it goes and comes back."""

import logging
import time

from foundation.backoff import Backoff
from foundation.etcd import EtcdRefused, EtcdUnavailable
from foundation.failures import describe

_LONGEST_PAUSE = 30.0
_SAY_AGAIN_SECONDS = 60.0


class EtcdOutage:
    """An outage of etcd as one of its users sees it. `consequence` says what it means here ("not registered")."""

    def __init__(self, consequence: str, log: logging.Logger, pause_seconds: float = 0.5) -> None:
        self._consequence = consequence
        self._log = log
        self._pause = pause_seconds
        self._refusals = Backoff(_LONGEST_PAUSE, first=pause_seconds)
        self._said_at = 0.0
        self.reason = ""
        """The reason why etcd cannot be used; empty while it can."""

    def failed(self, error: EtcdUnavailable) -> float:
        """Note a failure; returns how long to wait: longer each time while etcd refuses, since asking costs it work."""
        self.begin(describe(error))
        return self._refusals.pause() if isinstance(error, EtcdRefused) else self._pause

    def begin(self, reason: str) -> None:
        """Note why etcd cannot be used: said at once, and at most once a minute when the reason changes."""
        now = time.monotonic()
        if not self.reason or (reason != self.reason and now - self._said_at > _SAY_AGAIN_SECONDS):
            self._said_at = now
            self._log.warning("%s: etcd: %s", self._consequence, reason)
        self.reason = reason

    def end(self) -> None:
        """Note that etcd answers."""
        if self.reason:
            self._log.warning("etcd is back")
        self.reason = ""
        self._refusals.reset()
