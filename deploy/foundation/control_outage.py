"""Log lines about control, as another part sees it: one when a request fails, and one when all kinds succeed again."""

import logging
import time

from foundation.outages import Outages

_log = logging.getLogger(__name__)
_outage = Outages("control does not answer; what it has to know waits")
_failing: set[str] = set()


def note(request: str, failure: Exception | str | None) -> None:
    """Note the outcome of a kind of request: the reason for a failure, or None."""
    if failure is None:
        _failing.discard(request)
        if _failing:
            return
    else:
        _failing.add(request)
    if line := _outage.note(failure, time.monotonic()):
        _log.warning("%s", line)
