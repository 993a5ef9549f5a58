"""Circuit breaker: stops asking what keeps failing, and tries again by and by. Pure; times are ns."""

THRESHOLD = 3
_FIRST_PAUSE = 2_000_000_000
_LONGEST_PAUSE = 60_000_000_000


class Breaker:
    """Closed while calls succeed; opens after THRESHOLD failures in a row, then lets one call in after each pause."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._retry_at = 0

    @property
    def open(self) -> bool:
        """Whether calls are held back, but for a trial."""
        return self._failures >= THRESHOLD

    def allows(self, now: int) -> bool:
        """Whether a call may be made; when open, asking takes the one trial of this pause."""
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
        """Open at once: what was answered was wrong, not late."""
        self._failures = max(self._failures, THRESHOLD - 1)
        self.failed(now)
