"""Report blocks about an incoming stream (RFC 3550, sections 6.4.1 and A.3, A.8)."""

from sfu.formats.rtcp import ReportBlock, SenderReport


class ReceiveStatistics:
    """One per incoming stream."""

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        raise NotImplementedError

    def received(self, ext_seq: int, arrival: int, timestamp: int, *, repaired: bool = False) -> None:
        """Take a packet (no duplicates). Repaired ones count as received but not for jitter."""
        raise NotImplementedError

    def sender_report(self, report: SenderReport, arrival: int) -> None:
        """Take the stream's SR, for the block's LSR and DLSR."""
        raise NotImplementedError

    def report_block(self, now: int) -> ReportBlock | None:
        """Return the block to send now, and begin the next interval; None before the first packet."""
        raise NotImplementedError
