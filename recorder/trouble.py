"""Failures to make a recording durable, as shown to the people in the call: pure."""

import errno

FULL = "The disk for recordings is full."
FAILS = "The disk for recordings is failing."
SILENT = "The disk for recordings does not respond."
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_STEADY = 2_000_000_000
_FORGOTTEN = 10_000_000_000


def sentence(error: OSError) -> str:
    """Return the sentence about a disk error that is shown to people."""
    return FULL if error.errno in _FULL else FAILS


class Trouble:
    """Trouble of a recording: it begins with a refusal, and ends after two seconds in which data was stored and none
    refused. It also ends after ten seconds without data. `now` is in ns.
    """

    def __init__(self) -> None:
        self._reason = ""
        self._refused_at = 0
        self._kept_since = False

    def refused(self, reason: str, now: int) -> None:
        """Note that the disk refused data."""
        self._reason, self._refused_at, self._kept_since = reason, now, False

    def kept(self) -> None:
        """Note that data is on disk."""
        self._kept_since = True

    def reason(self, now: int) -> str:
        """Return the reason that nothing is being stored, "" if all is well."""
        quiet = now - self._refused_at
        if (self._kept_since and quiet >= _STEADY) or quiet >= _FORGOTTEN:
            self._reason = ""
        return self._reason
