"""Sounds that the server plays in calls: Opus files of this folder."""

from functools import lru_cache
from importlib.resources import files

from sfu.formats import ogg


@lru_cache
def recording_notice(language: str) -> list[bytes]:
    """Return the notice that a meeting is being recorded, as packets of 20 ms. Raises OSError for other languages."""
    return ogg.opus_packets((files(__name__) / f"recording-{language}.opus").read_bytes())
