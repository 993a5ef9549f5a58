"""Detection of a publisher's uplink that carries hardly more than audio.

While packets wait on the way all the time, what arrives is what the link carries. Losses would not show that: a link
with room to spare may lose packets at random. Audio shows how long packets wait, since its timestamps follow the time
at which it was sent; a picture's packets leave when their pacer lets them.

On such a link audio waits behind pictures and their repairs, so pictures get no repairs, few keyframes, and no part in
the timing of audio.
"""

from sfu.formats.unwrap import signed

_THIN = 150_000.0
_WAITS_NS = 100_000_000
_FOR_NS = 1_000_000_000
_STEADY_NS = 200_000_000  # a full queue grows no further, unlike the lag of a clock that is wrong
_LASTS_NS = 10_000_000_000
_TOLD_LASTS_NS = 30_000_000_000  # the publisher's own estimate has recovered by then, if its link has
_BUCKET_NS = 30_000_000_000  # clocks drift apart by a few ms in this time
_JUMP_NS = 5_000_000_000


class _Transit:
    """The time that a stream's packets take, up to a constant, and the least such time of the last 30 to 60 s."""

    def __init__(self, timestamp: int, at: int) -> None:
        self._timestamp, self._at = timestamp, at
        self._ahead = 0  # of the first packet, in clock units
        self._bucket_at = at
        self._least = self._least_before = 0

    def waits(self, timestamp: int, at: int, clock_rate: int) -> int | None:
        """Return how much longer than the fastest a packet took, in ns; None if its timestamp is on another scale."""
        self._ahead += signed(timestamp - self._timestamp, 32)
        self._timestamp = timestamp
        transit = at - self._at - self._ahead * 1_000_000_000 // clock_rate
        if abs(transit - self._least) > _JUMP_NS:
            return None
        if at - self._bucket_at >= _BUCKET_NS:
            self._bucket_at, self._least_before, self._least = at, self._least, transit
        self._least = min(self._least, transit)
        return transit - min(self._least, self._least_before)


class ThinUplink:
    """The uplink of one publish peer. Times are in ns."""

    def __init__(self) -> None:
        self._transit: _Transit | None = None
        self._stream = -1
        self._since: int | None = None
        self._waited = 0
        self._rate: float | None = None
        self._until = 0

    def hear(self, stream: int, timestamp: int, at: int, clock_rate: int, rate: float | None) -> None:
        """Take the newest packet of an audio stream, which arrived at `at`, and the rate in bits/s at which all streams
        of the peer arrive, None if it is not known now: then the last one counts.
        """
        if rate is not None:
            self._rate = rate
        if self._transit is None or stream != self._stream:
            self._transit, self._stream = _Transit(timestamp, at), stream
        waits = self._transit.waits(timestamp, at, clock_rate)
        if waits is None:
            self._transit = None
        if waits is None or waits < _WAITS_NS or (self._rate is not None and self._rate > _THIN):
            self._since = None
            return
        if self._since is None or abs(waits - self._waited) > _STEADY_NS:
            self._since, self._waited = at, waits
        if rate is not None and at - self._since >= _FOR_NS:
            self._until = max(self._until, at + _LASTS_NS)

    def hear_nothing(self) -> None:
        """Note that no audio flows that could wait."""
        self._since = None

    def told(self, now: int) -> None:
        """Note that the publisher pauses its camera because its uplink is thin, or tries it again."""
        self._until = max(self._until, now + _TOLD_LASTS_NS)

    def is_thin(self, now: int) -> bool:
        """Return True if pictures may not delay audio."""
        return now < self._until

    def may_be_thin(self, now: int) -> bool:
        """Return True if the uplink is thin, or if audio waits and little else is known yet."""
        return self._since is not None or self.is_thin(now)
