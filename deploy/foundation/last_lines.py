"""Last lines of libraries that log why they fail, but raise an error that does not say it.

They log each of many attempts, so none of it is written: our own parts say once what fails and when it is over.
"""

import logging

_MOST = 200


class LastLine(logging.Handler):
    """Keeps the text of the last record."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()[:_MOST]


_kept: dict[str, LastLine] = {}


def mute(name: str) -> None:
    """Keep the last line of a library's logger instead of writing its lines."""
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
