"""When to ask the publisher of a stream for a keyframe (PLI, RFC 4585, section 6.3.1)."""


class KeyframeRequests:
    """One per incoming video stream. The first request goes out at once; further ones at most every `interval` ns, and
    they repeat until a keyframe comes, `max_tries` in a row."""

    def __init__(self, *, interval: int = 500_000_000, max_tries: int = 20) -> None:
        raise NotImplementedError

    def request(self, now: int) -> None:
        """Somebody needs a keyframe: a subscriber's PLI or FIR, a pending switch, a sink, a loss."""
        raise NotImplementedError

    def keyframe(self, now: int) -> None:
        """A keyframe began to arrive."""
        raise NotImplementedError

    def due(self, now: int) -> bool:
        """Whether to send a PLI now; counts it as sent."""
        raise NotImplementedError

    def timer(self) -> int | None:
        """When `due` may be true next, or None."""
        raise NotImplementedError
