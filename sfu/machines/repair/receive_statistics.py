"""Report blocks about an incoming stream (RFC 3550, section 6.4.1), made from its progress."""

from typing import Protocol

from sfu.formats.rtcp import ReportBlock, SenderReport

_SECOND = 1_000_000_000


class Received(Protocol):
    """The figures behind a report block; see `sfu.machines.repair.stream_progress`."""

    @property
    def received(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def highest(self) -> int: ...
    @property
    def jitter(self) -> int: ...


class ReceiveStatistics:
    """The report blocks of one incoming stream."""

    def __init__(self, ssrc: int, progress: Received) -> None:
        self._ssrc = ssrc
        self._progress = progress
        self._expected_before = self._received_before = 0
        self._report_ntp = 0
        self._report_arrival: int | None = None

    def sender_report(self, report: SenderReport, arrival: int) -> None:
        """Take the stream's SR, for the block's LSR and DLSR."""
        self._report_ntp, self._report_arrival = report.ntp, arrival

    def report_block(self, now: int) -> ReportBlock | None:
        """Return the block to send now, and begin the next interval; None if nothing has arrived in this one."""
        progress = self._progress
        if progress.received == self._received_before:
            return None
        expected = progress.highest - progress.first + 1
        interval = expected - self._expected_before
        lost = interval - (progress.received - self._received_before)
        self._expected_before, self._received_before = expected, progress.received
        last_report = delay = 0
        if self._report_arrival is not None:
            last_report = self._report_ntp >> 16 & 0xFFFFFFFF
            delay = min((now - self._report_arrival) * 65536 // _SECOND, 0xFFFFFFFF)
        return ReportBlock(
            self._ssrc,
            min(255, (lost << 8) // interval) if interval > 0 and lost > 0 else 0,
            max(-0x800000, min(0x7FFFFF, expected - progress.received)),
            progress.highest & 0xFFFFFFFF,
            min(progress.jitter, 0xFFFFFFFF),
            last_report,
            max(delay, 0),
        )
