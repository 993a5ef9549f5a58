"""Trouble with the durability of a recording: pure. It is shown to the people in the call."""

import errno

FULL = "The disk for recordings is full."
FAILS = "The disk for recordings is failing."
SILENT = "The disk for recordings does not answer."
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_STEADY = 2_000_000_000
_FORGOTTEN = 10_000_000_000


def sentence(error: OSError) -> str:
    """Return what people are told about an error of the disk."""
    return FULL if error.errno in _FULL else FAILS


class Trouble:
    """Trouble of a recording: it begins with a refusal, and ends after two seconds in which something was stored and
    nothing refused. When nothing is sent any more, nothing is refused either: after ten seconds it is over as well.
    `now` is in ns.
    """

    def __init__(self) -> None:
        self._reason = ""
        self._refused_at = 0
        self._kept_since = False

    def refused(self, reason: str, now: int) -> None:
        """Note that the disk did not take something."""
        self._reason, self._refused_at, self._kept_since = reason, now, False

    def kept(self) -> None:
        """Note that something is on disk."""
        self._kept_since = True

    def reason(self, now: int) -> str:
        """Return why nothing is being stored, "" if all is well."""
        quiet = now - self._refused_at
        if (self._kept_since and quiet >= _STEADY) or quiet >= _FORGOTTEN:
            self._reason = ""
        return self._reason
