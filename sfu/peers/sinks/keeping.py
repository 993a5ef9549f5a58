"""State of recordings, as the recorder reports it. Sans-IO; times are in ns."""

from collections.abc import Mapping

PATIENCE_NS = 3_000_000_000
"""A recorder that is absent or busy for less than this is not reported, since missed packets are replayed to it."""
NO_RECORDER = "No recorder is running."
SILENT = "The recorder does not answer."

_CODES = {NO_RECORDER: "no_recorder", SILENT: "silent"}


def code_of(reason: str) -> str:
    """Return the stable code of a reason; the recorder's own reports are about its storage."""
    return _CODES.get(reason, "storage")


class Keeping:
    """One recorder's reports on the recordings of a node."""

    def __init__(self) -> None:
        self._is_attached = False
        self._speaks = False
        self._heard_at: int | None = None
        self._stalled: Mapping[str, str] = {}

    def attached(self, now: int, *, speaks: bool = True) -> None:
        """Note that a recorder attached; one of an earlier version, which sends no reports, is assumed to work."""
        self._is_attached, self._speaks, self._heard_at = True, speaks, now

    def detached(self, now: int) -> None:
        """Note that no recorder is attached."""
        self._is_attached, self._heard_at = False, now

    def heard(self, stalled: Mapping[str, str], now: int) -> None:
        """Take a sign of life; `stalled` names the recordings that the recorder is not storing, with the reason."""
        self._heard_at, self._stalled = now, stalled

    def stalled(self, recording: str, begun_at: int, now: int) -> str:
        """Return the reason (a sentence) why a recording that began at `begun_at` is not being stored, "" if it is."""
        since = begun_at if self._heard_at is None else max(self._heard_at, begun_at)
        if now - since >= PATIENCE_NS and (self._speaks or not self._is_attached):
            return SILENT if self._is_attached else NO_RECORDER
        return self._stalled.get(recording, "")
