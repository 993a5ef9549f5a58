"""Log lines of the recorder about the object store: one when a request fails, and one when the next succeeds."""

import logging
import time

from foundation.outages import Outages
from objects.store import NoAnswer

_log = logging.getLogger(__name__)
_outage = Outages("the object store does not accept recordings; they wait on this disk")


def note(error: OSError | None) -> None:
    """Note a failed request, or, with None, one that succeeded."""
    # Without the key, which differs for each of the many requests that fail for one reason.
    failure = error.reason if isinstance(error, NoAnswer) else error
    if line := _outage.note(failure, time.monotonic()):
        _log.warning("%s", line)
