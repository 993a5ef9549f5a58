"""Capture times of live media: RTP timestamps converted to the sfu's monotonic clock as packets arrive. Times are ns.

Arrivals only bound a clock, since no frame arrives before it was captured. So a clock's offset is the smallest distance
of an arrival in the last seconds, as clocks drift and RTP clocks step (recorder.clock does the same for a finished
recording). Sender reports align the streams of one participant, but may be wrong: a sender's reports are ignored while
any of them puts a frame's capture after its arrival, or long before it.
"""

_SECOND = 1_000_000_000
_WINDOW = 5 * _SECOND
_MAX_LEAD = _SECOND // 30
_MAX_LAG = 2 * _SECOND
_DOUBT = 10 * _SECOND
_NTP_SECOND = 1 << 32


class Offset:
    """The offset of a remote clock from the local one, by arrivals. Its reports are ignored until `doubted_until`."""

    def __init__(self) -> None:
        self.doubted_until = 0
        self._lowest: int | None = None
        self._before: int | None = None
        self._since = 0

    def saw(self, remote: int, arrival: int) -> None:
        """Record the arrival of a frame stamped `remote`."""
        seen = arrival - remote
        if self._lowest is None or arrival - self._since > _WINDOW:
            self._before, self._lowest, self._since = self._lowest, seen, arrival
        self._lowest = min(self._lowest, seen)

    @property
    def value(self) -> int | None:
        """The offset; None before the first arrival."""
        if self._lowest is None or self._before is None:
            return self._lowest
        return min(self._lowest, self._before)


class LiveClock:
    """The clock of one stream. `sender` is the clock of its participant's reports, shared by all of their streams."""

    def __init__(self, clock_rate: int, sender: Offset) -> None:
        self._rate = clock_rate
        self._sender = sender
        self._own = Offset()
        self._last: int | None = None
        self._report: tuple[int, int] | None = None

    def frame(self, timestamp: int, arrival: int) -> int:
        """Process a frame, and return its capture time. `timestamp` is unwrapped (sfu.frames)."""
        self._last = timestamp
        stamped = timestamp * _SECOND // self._rate
        self._own.saw(stamped, arrival)
        bound = stamped + (self._own.value or 0)
        offset = self._sender.value
        if self._report is None or offset is None:
            return bound
        reported, ntp = self._report
        claimed = ntp + (timestamp - reported) * _SECOND // self._rate + offset
        if not arrival - _MAX_LAG < claimed < arrival + _MAX_LEAD:
            self._sender.doubted_until = arrival + _DOUBT
        return bound if arrival < self._sender.doubted_until else claimed

    def report(self, rtp_timestamp: int, ntp: int, arrival: int) -> None:
        """Process a sender report. A report before the first frame cannot be placed yet and is ignored."""
        if self._last is None:
            return
        behind = (rtp_timestamp - self._last + (1 << 31)) % (1 << 32) - (1 << 31)
        at = (ntp >> 32) * _SECOND + (ntp % _NTP_SECOND) * _SECOND // _NTP_SECOND
        self._sender.saw(at, arrival)
        self._report = self._last + behind, at
