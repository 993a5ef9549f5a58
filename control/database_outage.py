"""Log lines about the database: one per process when it becomes unreachable, and one when it answers again."""

import logging
import time

from foundation.outages import Outages

_log = logging.getLogger(__name__)
_outage = Outages("the database is unreachable")


def note(error: Exception | None) -> None:
    """Note that the database could not be reached, or, with None, that it answers."""
    if line := _outage.note(error, time.monotonic()):
        _log.warning("%s", line)
