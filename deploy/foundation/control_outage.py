"""Log lines about control, as another part sees it: one when a request fails, and one when all kinds succeed again."""

import logging
import time

from foundation.outages import Outages

_log = logging.getLogger(__name__)
_outage = Outages("control does not answer; what it has to know waits")
_failing: dict[str, None] = {}
"""The kinds of requests that fail, in the order in which that began."""


def note(request: str, failure: Exception | str | None) -> None:
    """Note the outcome of a kind of request: the reason for a failure, or None.

    Kinds give different reasons for the same outage. Those of the first kind are logged.
    """
    if failure is None:
        _failing.pop(request, None)
    else:
        _failing.setdefault(request)
    if _failing and (failure is None or next(iter(_failing)) != request):
        return
    if line := _outage.note(failure, time.monotonic()):
        _log.warning("%s", line)
