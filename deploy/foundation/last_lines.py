"""Last log lines of libraries that log the reason for a failure but omit it from the error that they raise.

They log every attempt, so their lines are not written: our own parts log once when something fails and when it
recovers.
"""

import logging

_MOST = 200


class LastLine(logging.Handler):
    """A handler that keeps the text of the last record."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()[:_MOST]


_kept: dict[str, LastLine] = {}


def mute(name: str) -> None:
    """Keep only the last line of a library's logger instead of writing its lines."""
    if name not in _kept:
        handler = _kept[name] = LastLine(logging.WARNING)
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False


def take(name: str) -> str:
    """Return the last line of a muted logger, and forget it; "" without one."""
    handler = _kept.get(name)
    if handler is None:
        return ""
    text, handler.text = handler.text, ""
    return text
