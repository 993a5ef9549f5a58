"""Log lines about outages: one when something begins to fail, one when it recovers, and few in between."""

from foundation.failures import describe

_AGAIN_SECONDS = 600.0
"""Clients give several reasons for one outage: a broken connection, then a refused one. Readiness has the latest."""


class Outages:
    """The state of one dependency. `note` returns the line to log, None if there is nothing new."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._said = ""
        self._said_at = 0.0

    def note(self, failure: Exception | str | None, now: float) -> str | None:
        """Note the outcome of a call: the reason for a failure, or None. Further reasons are news every ten minutes."""
        if failure is None:
            return self._over(now)
        reason = describe(failure) if isinstance(failure, Exception) else failure
        if self._since is None:
            self._since = now
        elif reason == self._said or now - self._said_at < _AGAIN_SECONDS:
            return None
        self._said, self._said_at = reason, now
        return f"{self._what}: {reason}"

    def _over(self, now: float) -> str | None:
        since, self._since, self._said = self._since, None, ""
        return None if since is None else f"{self._what}: recovered after {now - since:.0f} s"
