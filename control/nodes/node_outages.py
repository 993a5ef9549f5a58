"""Log lines about nodes: one when a node begins to fail, one when it has recovered."""

import logging
import time

from foundation.outages import Outages

_log = logging.getLogger(__name__)


class NodeOutages:
    """The outages of one kind; `what` says what a node that fails does not do."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._outages: dict[str, Outages] = {}

    def note(self, node: str, failure: str | None) -> None:
        """Note the outcome of a request to a node: the reason for a failure, or None."""
        outage = self._outages.get(node)
        if outage is None:
            outage = self._outages[node] = Outages(f"node {node} {self._what}")
        if line := outage.note(failure, time.monotonic()):
            _log.warning("%s", line)
