"""NTP timestamps of RTCP sender reports: 32.32 fixed point, in seconds since 1900 (RFC 3550, section 4)."""

NTP_UNIX_SECONDS = 2_208_988_800
"""The NTP time (s) of the Unix epoch."""


def ntp_time(unix_ns: int) -> int:
    """Return the NTP timestamp of a Unix time (ns)."""
    return (unix_ns << 32) // 1_000_000_000 + (NTP_UNIX_SECONDS << 32)
