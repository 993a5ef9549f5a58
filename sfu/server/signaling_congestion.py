"""Congestion control for signaling over QUIC: New Reno with an initial window of 32 packets, like Chromium's.

The first messages to a newcomer take about ten packets. The library paces a window over a round trip; with the usual
window of ten (RFC 9002, section 7.2), it would delay them by half a round trip.
"""

from aioquic.quic.congestion.base import register_congestion_control
from aioquic.quic.congestion.reno import RenoCongestionControl

NAME = "signaling"
INITIAL_PACKETS = 32


class SignalingCongestionControl(RenoCongestionControl):
    """New Reno with a larger initial window."""

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.congestion_window = INITIAL_PACKETS * max_datagram_size


register_congestion_control(NAME, SignalingCongestionControl)
