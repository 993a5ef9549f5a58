"""Sender reports of routes: the publisher's clock mapping, applied to each route (RFC 3550, section 6.4.1).

A publisher's SR pairs its NTP clock with its RTP clock. A route's SR keeps the NTP time, so that audio and video of one
participant stay aligned at every subscriber, and shifts the RTP time by the route's timestamp offset. Both are advanced
by the time since the publisher's SR arrived, so a report may be sent at any moment.
"""

from sfu.formats.rtcp import SenderReport
from sfu.formats.unwrap import signed

_SECOND = 1_000_000_000
_NTP_MODULUS = 1 << 64


class SourceClock:
    """The newest SR of one incoming stream. `rate` is its RTP clock rate in Hz."""

    def __init__(self, clock_rate: int) -> None:
        self.rate = clock_rate
        self._ntp = 0
        self._rtp_timestamp = 0
        self._arrival: int | None = None

    def update(self, report: SenderReport, arrival: int) -> None:
        self._ntp, self._rtp_timestamp, self._arrival = report.ntp, report.rtp_timestamp, arrival

    @property
    def known(self) -> bool:
        """True if an SR has arrived."""
        return self._arrival is not None

    def report(self, ssrc: int, timestamp_offset: int, packets: int, octets: int, now: int) -> SenderReport | None:
        """Return the SR of a route (its `ssrc`, offset and counts) at `now`; None before the publisher's first SR."""
        if self._arrival is None:
            return None
        elapsed = max(0, now - self._arrival)
        return SenderReport(
            ssrc,
            (self._ntp + (elapsed << 32) // _SECOND) % _NTP_MODULUS,
            (self._rtp_timestamp + timestamp_offset + elapsed * self.rate // _SECOND) & 0xFFFFFFFF,
            packets & 0xFFFFFFFF,
            octets & 0xFFFFFFFF,
        )

    def offset_to(self, other: "SourceClock") -> int | None:
        """Return the offset to add to this stream's timestamps (mod 2**32) so that they continue those of `other`.

        Equal NTP times then get equal timestamps, which aligns the layers of a track. Returns None unless both streams
        have reports. Raises ValueError if the clock rates differ.
        """
        if self.rate != other.rate:
            raise ValueError("streams of different clock rates do not align")
        if self._arrival is None or other._arrival is None:
            return None
        apart = signed(self._ntp - other._ntp, 64)
        same_instant = other._rtp_timestamp + (apart * self.rate + (1 << 31) >> 32)
        return (same_instant - self._rtp_timestamp) & 0xFFFFFFFF
