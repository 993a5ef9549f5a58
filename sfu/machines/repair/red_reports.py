"""Correction of sender reports about audio in RED (RFC 2198).

libwebrtc (Chromium 156) has no clock rate for RED's payload type: in its reports (RFC 3550, section 6.4.1) it counts
the time since its last sample at 8 kHz instead of 48 kHz. Audio then seems newer than it is, by 5/6 of a varying 20 to
40 ms, which is noticeable. Two reports show whether a sender has this error, since correct ones agree.
"""

from dataclasses import replace

from sfu.formats.rtcp import SenderReport
from sfu.formats.unwrap import signed

_RATE = 48_000
_PACKET = 960  # 20 ms; a report may overtake the packet that it counts from, since only packets are paced
_SLOWNESS = 6
_YOUNG = _PACKET // 2
"""At the correct rate, the age of the last packet's first sample exceeds the packet's duration."""


class RedReports:
    """The correction for one stream."""

    def __init__(self) -> None:
        self._before: tuple[SenderReport, SenderReport] | None = None
        self._told_error = self._meant_error = 0.0

    def meant(self, told: SenderReport, last_timestamp: int) -> SenderReport:
        """Return the report with a corrected timestamp; `last_timestamp` is that of the newest packet at its
        arrival.
        """
        since = signed(told.rtp_timestamp - last_timestamp, 32)
        slow_ticks = since % _PACKET
        meant = replace(told, rtp_timestamp=(told.rtp_timestamp + (_SLOWNESS - 1) * slow_ticks) & 0xFFFFFFFF)
        if self._before is None:
            is_slow = 0 <= since < _YOUNG
        else:
            self._told_error = self._told_error / 2 + _disagreement(self._before[0], told)
            self._meant_error = self._meant_error / 2 + _disagreement(self._before[1], meant)
            is_slow = self._meant_error < self._told_error
        self._before = told, meant
        return meant if is_slow else told


def _disagreement(earlier: SenderReport, later: SenderReport) -> int:
    """Return the number of ticks by which two reports differ about the clock."""
    elapsed = (later.ntp - earlier.ntp) * _RATE >> 32
    return abs(signed(later.rtp_timestamp - earlier.rtp_timestamp - elapsed, 32))
