"""Log lines about the database: one when it becomes unreachable, and one when it answers again, whoever notices."""

import logging
import time

from foundation.outages import Outages

_log = logging.getLogger(__name__)
_outage = Outages("the database is unreachable")


def note(error: Exception | None) -> None:
    """Note that the database could not serve a session, or with None that it answers."""
    if line := _outage.note(error, time.monotonic()):
        _log.warning("%s", line)
