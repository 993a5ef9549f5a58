"""Circuit breaker, which pauses calls to a service that keeps failing and then tries again. Pure; times are ns."""

THRESHOLD = 3
_FIRST_PAUSE = 2_000_000_000
_LONGEST_PAUSE = 60_000_000_000


class Breaker:
    """Circuit breaker: closed while calls succeed, open after THRESHOLD failures in a row.

    Open, it lets one call through after each pause.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._retry_at = 0

    @property
    def open(self) -> bool:
        """True while calls are held back, except for trials."""
        return self._failures >= THRESHOLD

    def allows(self, now: int) -> bool:
        """Return whether a call may be made. While open, this uses up the one trial of the current pause."""
        if not self.open:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + self._pause
        return True

    def succeeded(self) -> None:
        self._failures, self._pause = 0, _FIRST_PAUSE

    def failed(self, now: int) -> None:
        self._failures += 1
        if self._failures >= THRESHOLD:
            self._retry_at = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def trip(self, now: int) -> None:
        """Open at once, because of a wrong answer."""
        self._failures = max(self._failures, THRESHOLD - 1)
        self.failed(now)
