"""Round-trip time of a peer from receiver reports (RFC 3550, section 6.4.1, LSR and DLSR)."""

from sfu.formats.rtcp import ReportBlock


class RoundTrip:
    """One per peer. NTP times in our SRs are the publishers', so what was sent when is remembered here."""

    def __init__(self, *, initial: int = 100_000_000) -> None:
        raise NotImplementedError

    def sent(self, ntp: int, now: int) -> None:
        """An SR with this NTP time went out."""
        raise NotImplementedError

    def report(self, block: ReportBlock, arrival: int) -> int | None:
        """Return the sample (ns) of a report block, None when it answers no SR that is remembered."""
        raise NotImplementedError

    @property
    def smoothed(self) -> int:
        """Smoothed round trip in ns; `initial` before the first sample."""
        raise NotImplementedError
