"""Report blocks about an incoming stream (RFC 3550, sections 6.4.1, A.3 and A.8).

Departs: jitter is taken between packets of different timestamps only, as libwebrtc does: the packets of one video frame
leave paced, which says nothing about the network. Repairs came on a stream of their own (RFC 4588) or in a later packet
(RED, RFC 2198), so they do not make up for losses here. What we dropped ourselves for want of time counts as received:
it is no loss of the link, and a sender that slowed down for it would send worse pictures for a long while.
"""

from sfu.formats.rtcp import ReportBlock, SenderReport

_SECOND = 1_000_000_000


class ReceiveStatistics:
    """One per incoming stream."""

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self._ssrc = ssrc
        self._clock_rate = clock_rate
        self._first = self._highest = 0
        self._received = 0
        self._expected_before = self._received_before = 0
        self._jitter_16 = 0  # RFC 3550, A.8: scaled by 16
        self._last_timestamp = self._last_arrival = 0
        self._report_ntp = 0
        self._report_arrival: int | None = None

    @property
    def highest(self) -> int:
        """The highest ext_seq so far, 0 before the first packet."""
        return self._highest

    def received(
        self, ext_seq: int, arrival: int, timestamp: int, *, repaired: bool = False, ours: bool = False
    ) -> None:
        """Take a packet (no duplicates). `ours`: we dropped what is missing right before it."""
        if ours:
            self._received += ext_seq - self._highest - 1
        if repaired:
            return
        if not self._received:
            self._first = self._highest = ext_seq
            self._last_timestamp, self._last_arrival = timestamp, arrival
        self._received += 1
        self._first = min(self._first, ext_seq)
        if ext_seq <= self._highest:
            return
        self._highest = ext_seq
        if timestamp != self._last_timestamp:
            self._update_jitter(arrival, timestamp)

    def _update_jitter(self, arrival: int, timestamp: int) -> None:
        sent = (timestamp - self._last_timestamp + 0x80000000) % 0x100000000 - 0x80000000
        came = (arrival - self._last_arrival) * self._clock_rate // _SECOND
        self._jitter_16 += abs(came - sent) - (self._jitter_16 + 8 >> 4)
        self._last_timestamp, self._last_arrival = timestamp, arrival

    def sender_report(self, report: SenderReport, arrival: int) -> None:
        """Take the stream's SR, for the block's LSR and DLSR."""
        self._report_ntp, self._report_arrival = report.ntp, arrival

    def report_block(self, now: int) -> ReportBlock | None:
        """Return the block to send now, and begin the next interval; None before the first packet."""
        if not self._received:
            return None
        expected = self._highest - self._first + 1
        interval = expected - self._expected_before
        lost = interval - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        last_report = delay = 0
        if self._report_arrival is not None:
            last_report = self._report_ntp >> 16 & 0xFFFFFFFF
            delay = min((now - self._report_arrival) * 65536 // _SECOND, 0xFFFFFFFF)
        return ReportBlock(
            self._ssrc,
            min(255, (lost << 8) // interval) if interval > 0 and lost > 0 else 0,
            max(-0x800000, min(0x7FFFFF, expected - self._received)),
            self._highest & 0xFFFFFFFF,
            min(self._jitter_16 >> 4, 0xFFFFFFFF),
            last_report,
            max(delay, 0),
        )
