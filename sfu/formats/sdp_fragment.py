"""Trickle ICE fragments of session descriptions (RFC 8840, section 9), which WHIP and WHEP send in PATCH (RFC 9725).

Only the parts that an ICE-lite agent needs are read: the credentials and the first m-section's name. Candidates of any
kind are just counted, since the agent learns addresses from checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.formats.sdp import Candidate, candidate_line

MAX_LINES = 500
_NO_MEDIA = "audio 9 UDP/TLS/RTP/SAVPF 0"
_ICE_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


@dataclass(frozen=True, slots=True)
class SdpFragment:
    """A fragment. `ufrag` and `pwd` are "" if it has none; `mid` and `media` are the first m-section's."""

    ufrag: str = ""
    pwd: str = ""
    mid: str = "0"
    media: str = _NO_MEDIA
    candidates: int = 0


def parse_fragment(text: str) -> SdpFragment:
    """Return the parsed fragment; raises ValueError for anything else."""
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise ValueError("too many lines")
    found: dict[str, str] = {}
    candidates = 0
    for line in lines:
        if not line:
            continue
        if len(line) < 2 or line[1] != "=" or line[0] not in "am" or not line.isprintable():
            raise ValueError("not a line of a fragment")
        if line[0] == "m":
            found.setdefault("media", line[2:])
            continue
        name, _, value = line[2:].partition(":")
        if name == "candidate":
            candidates += 1
        elif name in {"ice-ufrag", "ice-pwd", "mid"}:
            found.setdefault(name, value)
    ufrag, pwd = found.get("ice-ufrag", ""), found.get("ice-pwd", "")
    if (ufrag or pwd) and not (_is_ice(ufrag, 4) and _is_ice(pwd, 22)):
        raise ValueError("the ICE credentials are not valid")
    return SdpFragment(ufrag, pwd, found.get("mid", "0"), found.get("media", _NO_MEDIA), candidates)


def _is_ice(value: str, shortest: int) -> bool:
    """RFC 8839, section 5.4: ice-chars, 256 at most."""
    return shortest <= len(value) <= 256 and set(value) <= _ICE_CHARACTERS


def serialize_fragment(fragment: SdpFragment, candidates: Sequence[Candidate]) -> str:
    """Return our side of an ICE restart as a fragment, lines ended by CRLF."""
    lines = [
        "a=ice-lite",
        f"m={fragment.media}",
        f"a=mid:{fragment.mid}",
        f"a=ice-ufrag:{fragment.ufrag}",
        f"a=ice-pwd:{fragment.pwd}",
        *(f"a={candidate_line(candidate)}" for candidate in candidates),
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"
