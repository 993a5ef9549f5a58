"""Opus packets (RFC 6716, section 3; RFC 7587): duration and channels from the table-of-contents byte."""

CLOCK_RATE = 48000


def samples(packet: bytes) -> int:
    """Return the packet's duration in samples at 48 kHz, 120..5760; raises ValueError."""
    raise NotImplementedError


def is_stereo(packet: bytes) -> bool:
    """Whether the packet is coded in stereo; raises ValueError when empty."""
    raise NotImplementedError
