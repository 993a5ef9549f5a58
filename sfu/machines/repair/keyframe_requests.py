"""Timing of keyframe requests to the publisher of a stream (PLI, RFC 4585, section 6.3.1)."""


class KeyframeRequests:
    """Requests for one incoming video stream.

    The first is sent at once, further ones at most every `interval` ns, which may be changed. They are repeated until a
    keyframe arrives, at most `max_tries` times after the newest request. `unanswered` counts those sent since the last
    keyframe.
    """

    def __init__(self, *, interval: int = 500_000_000, max_tries: int = 20) -> None:
        self.interval = interval
        self.unanswered = 0
        self._max_tries = max_tries
        self._tries = 0
        self._wanted_at: int | None = None
        self._sent_at: int | None = None

    def request(self, now: int) -> None:
        """Note that a keyframe is needed: by a subscriber's PLI or FIR, a pending switch, a sink, or after a loss."""
        self._tries = 0
        if self._wanted_at is None:
            self._wanted_at = now

    def cancel(self) -> None:
        """Note that nobody needs a keyframe any longer."""
        self._wanted_at = None
        self.unanswered = 0

    def keyframe(self, now: int) -> None:
        """Note that a keyframe began to arrive at `now`; it answers earlier requests."""
        self.unanswered = 0
        if self._wanted_at is not None and self._wanted_at <= now:
            self._wanted_at = None

    def due(self, now: int) -> bool:
        """Return True if it is time to send a PLI, and count it as sent."""
        at = self.timer()
        if at is None or now < at:
            return False
        self._sent_at = now
        self._tries += 1
        self.unanswered += 1
        if self._tries >= self._max_tries:
            self._wanted_at = None
        return True

    def timer(self) -> int | None:
        """Return when `due` is true next, or None."""
        if self._wanted_at is None:
            return None
        return self._wanted_at if self._sent_at is None else max(self._wanted_at, self._sent_at + self.interval)
