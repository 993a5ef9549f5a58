"""Capture times of live media: RTP timestamps on the sfu's monotonic clock, as packets come. Times are ns.

What is known of a clock is a bound: nothing arrives before it was captured. So a clock's offset is the smallest
distance of an arrival from it, and grows a little with time, as clocks drift apart (recorder.clock does the same for a
finished recording). Sender reports align the streams of one participant; where they contradict the arrivals, arrivals
count.
"""

_SECOND = 1_000_000_000
_DRIFT = 0.0005
_BELIEVED = _SECOND // 2
_NTP_SECOND = 1 << 32


class Offset:
    """The distance of a remote clock from ours, by arrivals."""

    def __init__(self) -> None:
        self._value: float | None = None
        self._at = 0

    def saw(self, remote: int, arrival: int) -> None:
        """Note that something stamped `remote` arrived."""
        seen = float(arrival - remote)
        if self._value is not None:
            seen = min(seen, self._value + _DRIFT * max(0, arrival - self._at))
        self._value, self._at = seen, arrival

    @property
    def value(self) -> int | None:
        """The offset; None before anything was seen."""
        return None if self._value is None else int(self._value)


class LiveClock:
    """The clock of one stream. `sender` is that of its participant's reports, which its other streams share."""

    def __init__(self, clock_rate: int, sender: Offset) -> None:
        self._rate = clock_rate
        self._sender = sender
        self._own = Offset()
        self._last: int | None = None
        self._report: tuple[int, int] | None = None

    def frame(self, timestamp: int, arrival: int) -> int:
        """Take a frame, and return when it was captured. `timestamp` is unwrapped (sfu.frames)."""
        self._last = timestamp
        stamped = timestamp * _SECOND // self._rate
        self._own.saw(stamped, arrival)
        bound = stamped + (self._own.value or 0)
        offset = self._sender.value
        if self._report is None or offset is None:
            return bound
        reported, ntp = self._report
        claimed = ntp + (timestamp - reported) * _SECOND // self._rate + offset
        return claimed if abs(claimed - bound) < _BELIEVED else bound

    def report(self, rtp_timestamp: int, ntp: int, arrival: int) -> None:
        """Take a sender report. One that comes before the first frame cannot be placed yet, and the next will do."""
        if self._last is None:
            return
        behind = (rtp_timestamp - self._last + (1 << 31)) % (1 << 32) - (1 << 31)
        at = (ntp >> 32) * _SECOND + (ntp % _NTP_SECOND) * _SECOND // _NTP_SECOND
        self._sender.saw(at, arrival)
        self._report = self._last + behind, at
