"""Round-trip time of a peer: from receiver reports (RFC 3550, section 6.4.1, LSR and DLSR), or from answered NACKs."""

from sfu.formats.rtcp import ReportBlock

_SECOND = 1_000_000_000
_REMEMBERED = 512  # a report a second for each of a hundred routes, answered within 5 s


class RoundTrip:
    """The round trip of one peer. The NTP times in our SRs are not times of sending, so those are remembered."""

    def __init__(self, *, initial: int = 100_000_000) -> None:
        self._sent: dict[int, int] = {}
        self._smoothed = initial
        self._measured = False

    def sent(self, ntp: int, now: int) -> None:
        """Note that an SR with this NTP time was sent."""
        middle = ntp >> 16 & 0xFFFFFFFF
        self._sent.pop(middle, None)
        self._sent[middle] = now
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def report(self, block: ReportBlock, arrival: int) -> int | None:
        """Take a report block; return its sample (ns), None if it answers no remembered SR."""
        sent = self._sent.get(block.last_report)
        if sent is None or not block.last_report:
            return None
        round_trip = arrival - sent - block.delay * _SECOND // 65536
        if round_trip < 0:
            return None
        self.sample(round_trip)
        return round_trip

    def sample(self, round_trip: int) -> None:
        """Take a sample (ns) from elsewhere (NackGenerator.received)."""
        self._smoothed = self._smoothed + (round_trip - self._smoothed) // 8 if self._measured else round_trip
        self._measured = True

    @property
    def measured(self) -> bool:
        """True if there has been a sample."""
        return self._measured

    @property
    def smoothed(self) -> int:
        """The smoothed round trip in ns; `initial` before the first sample."""
        return self._smoothed
