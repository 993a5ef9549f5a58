"""Opus packets (RFC 6716, section 3; RFC 7587): duration and channels from the table-of-contents byte."""

_MAX_SAMPLES = 5760
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)


def samples(packet: bytes) -> int:
    """Return the packet's duration in samples at 48 kHz (120 to 5760); raises ValueError."""
    if not packet:
        raise ValueError("Opus packet is empty")
    configuration = packet[0] >> 3
    if configuration < 12:
        frame = _SILK[configuration & 3]
    elif configuration < 16:
        frame = _HYBRID[configuration & 1]
    else:
        frame = _CELT[configuration & 3]
    code = packet[0] & 0x03
    if code < 3:
        count = 1 if code == 0 else 2
    elif len(packet) < 2:
        raise ValueError("Opus packet lacks its frame count")
    else:
        count = packet[1] & 0x3F
    total = count * frame
    if not 0 < total <= _MAX_SAMPLES:
        raise ValueError("Opus packet is empty or longer than 120 ms")
    return total
