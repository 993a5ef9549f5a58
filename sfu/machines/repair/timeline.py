"""One timeline for the layers of a track, from their sender reports (RFC 3550, section 6.4.1).

The timestamps of a sender's layers differ by constants, but its reports give these with a jitter of about a
millisecond. Measuring them again at each switch would add up to a drift that destroys lip sync, so they are kept.
"""

from weakref import WeakKeyDictionary

from sfu.formats.unwrap import signed
from sfu.machines.repair.sender_reports import SourceClock

_TOLERANCE_MS = 20


class Timeline:
    """Offsets of streams from the first stream that sent a report."""

    def __init__(self) -> None:
        self._reference: SourceClock | None = None
        self._held: WeakKeyDictionary[SourceClock, int] = WeakKeyDictionary()

    def offset_of(self, clock: SourceClock) -> int | None:
        """Return the offset from a stream's timestamps to the timeline's (mod 2**32); None before its first report.

        Raises ValueError if the clock rates differ.
        """
        if not clock.known:
            return None
        if self._reference is None:
            self._reference = clock
        told = clock.offset_to(self._reference)
        assert told is not None
        held = self._held.get(clock)
        tolerance = _TOLERANCE_MS * clock.rate // 1000
        if held is None or abs(signed(told - held, 32)) > tolerance:
            self._held[clock] = held = told
        return held
