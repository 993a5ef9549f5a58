"""Mapping of a publisher's NTP clock to ours, so that all media that a subscriber plays share one clock.

Senders' NTP clocks differ by seconds and more. Slots are recycled, so a browser may sync the video of one participant
with the audio of another. Therefore sender reports leave the sfu on its own NTP clock. Each publish peer has one
constant shift, which preserves the offset between a participant's audio and video.
"""

_SECOND = 1 << 32


class CaptureClock:
    """The offset (32.32 fixed point) by which our NTP clock is ahead of one publisher's."""

    def __init__(self) -> None:
        self._shift: int | None = None

    def update(self, ntp: int, own: int) -> None:
        """Take a sender report's NTP time and ours at its arrival; only a jump of more than a second changes the
        shift.
        """
        shift = own - ntp
        if self._shift is None or abs(shift - self._shift) > _SECOND:
            self._shift = shift

    def to_own(self, ntp: int) -> int:
        """Return the publisher's NTP time on our clock, as 64 bits."""
        return (ntp + (self._shift or 0)) & 0xFFFF_FFFF_FFFF_FFFF
