"""H.264 profiles as named in `a=fmtp` (RFC 6184, section 8.1), compared by meaning, not by text."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_DEFAULT_PROFILE_LEVEL_ID = "42000a"


class H264Profile(Enum):
    """The profiles that are distinguished by RFC 6184's table 5 and supported by browsers."""

    CONSTRAINED_BASELINE = "constrained-baseline"
    BASELINE = "baseline"
    MAIN = "main"
    CONSTRAINED_HIGH = "constrained-high"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class H264Format:
    """A payload format's profile, level (level_idc) and packetization mode (0 or 1)."""

    profile: H264Profile
    level: int
    packetization_mode: int
    level_asymmetry: bool


def h264_format(parameters: Mapping[str, str]) -> H264Format:
    """Return the format for an fmtp's parameters; raises ValueError for an unsupported profile or mode (2:
    interleaved).
    """
    text = parameters.get("profile-level-id") or _DEFAULT_PROFILE_LEVEL_ID
    if len(text) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in text):
        raise ValueError("profile-level-id")
    mode = parameters.get("packetization-mode") or "0"
    if mode not in ("0", "1"):
        raise ValueError("packetization-mode")
    profile_idc, constraints, level = bytes.fromhex(text)
    return H264Format(
        profile=_profile(profile_idc, constraints),
        level=level,
        packetization_mode=int(mode),
        level_asymmetry=parameters.get("level-asymmetry-allowed") == "1",
    )


def _profile(profile_idc: int, constraints: int) -> H264Profile:
    """Return the profile by RFC 6184, table 5, which ignores x bits: 42e01f, 42c01f and 4de01f are one profile."""
    set0, set1 = constraints & 0x80, constraints & 0x40
    if (profile_idc == 0x42 and set1) or (profile_idc == 0x4D and set0):
        return H264Profile.CONSTRAINED_BASELINE
    if profile_idc == 0x42 or (profile_idc == 0x58 and set0):
        return H264Profile.BASELINE
    if profile_idc == 0x4D:
        return H264Profile.MAIN
    if profile_idc == 0x64:
        return H264Profile.CONSTRAINED_HIGH if constraints & 0x0C == 0x0C else H264Profile.HIGH
    raise ValueError("H.264 profile")
