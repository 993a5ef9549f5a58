"""Logging of every process: lines of text for people, or one JSON object per event for Loki or similar systems.

JSON has `time` (RFC 3339, UTC), `level`, `part`, `logger`, `message`, and where known `trace`, `span`, `meeting`,
`participant`, `recording`, `user`, `error`. Identifiers are taken from `extra=` and from the message's own arguments,
so that every line about a room can be found by its id. Secrets are removed: the values of secret settings, tokens,
passwords in addresses. One-time links are removed only from JSON, because they are meant to be read on a terminal.
Repeated lines are limited (foundation.log_limit).
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType

from foundation import last_lines
from foundation.log_limit import LimitedHandler
from foundation.setting_groups import SETTINGS
from foundation.settings import Settings

# Our own packages. DEBUG lines of libraries would drown ours, and their INFO is enough for an operator.
_OWN = ("control", "foundation", "inference", "ingress", "objects", "parley", "phone", "recorder", "sfu")
# Libraries that log every bound address and every connection; our own parts log those that matter.
_CHATTY = ("websockets.server", "aiohttp.access", "quic")
# They log every attempt; our own parts log once when something fails, and when it recovers.
_RETRYING = ("aiokafka", "asyncpg", "urllib3")
CUT = "[redacted]"

_IDENTIFIERS = {
    "meeting": re.compile(r"[a-z]{4}-[a-z]{4}-[a-z]{4}"),
    "participant": re.compile(r"participant_[0-9a-f]{32}"),
    "recording": re.compile(r"recording_[0-9a-f]{32}"),
    "user": re.compile(r"user_[0-9a-f]{32}"),
}
_ALWAYS = (
    # RFC 7519: three base64url parts, of which the first begins with {"
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), CUT),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {CUT}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@"), rf"\1:{CUT}@"),
    (re.compile(r"(?i)((?:__host-)?parley-(?:access|refresh))=[^;\s]+"), rf"\1={CUT}"),
)
_NAMED = re.compile(
    r"(?i)(['\"]?\b(?:[\w-]*token|passw(?:or)?d|passcode|[\w-]*secret|credential|api[_-]?key)['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s&,;'\"}]+)"
)


class Redactor:
    """Removes secrets from text. `values` are known secrets, for example the node secret."""

    def __init__(self, values: Sequence[str] = (), *, links: bool = True) -> None:
        known = sorted({value for value in values if len(value) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._links = links

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(CUT, text)
        for pattern, replacement in _ALWAYS:
            text = pattern.sub(replacement, text)
        return _NAMED.sub(rf"\1{CUT}", text) if self._links else text


class TextFormatter(logging.Formatter):
    """A formatter of lines for people: time, level, logger and message."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._redact = redact

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the local time with its zone, because logs of machines in several zones are read side by side."""
        return datetime.fromtimestamp(record.created).astimezone().isoformat(sep=" ", timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """A formatter that writes one JSON object per event, always on one line."""

    def __init__(self, part: str, redact: Redactor, trace: Callable[[], dict[str, str]] = dict) -> None:
        """`trace` returns the ids of the current trace, as `trace` and `span`."""
        super().__init__()
        self._part = part
        self._redact = redact
        self._trace = trace

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        event |= self._trace() | _identifiers(record)
        if record.exc_info:
            event["error"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=False)


def _identifiers(record: logging.LogRecord) -> dict[str, str]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    trace = getattr(record, "trace", None)
    found: dict[str, str] = {"trace": trace} if isinstance(trace, str) and trace else {}
    for name, pattern in _IDENTIFIERS.items():
        given = getattr(record, name, None)
        if isinstance(given, str) and given:
            found[name] = given
            continue
        for argument in arguments:
            if isinstance(argument, str) and pattern.fullmatch(argument):
                found[name] = argument
                break
    return found


def secrets_of(settings: Settings) -> list[str]:
    """Return the values that must never be logged."""
    return [str(settings[setting.name]) for setting in SETTINGS if setting.secret and settings[setting.name]]


def set_level(name: str) -> None:
    """Set the lowest level to log; lines of libraries are logged from INFO on at most."""
    level = logging.getLevelNamesMapping()[name.upper()]
    logging.getLogger().setLevel(max(level, logging.INFO))
    for package in _OWN:
        logging.getLogger(package).setLevel(level)


def install(settings: Settings, part: str, trace: Callable[[], dict[str, str]] = dict) -> None:
    """Log to standard error in the chosen format."""
    known = secrets_of(settings)
    formatter: logging.Formatter
    if settings["log_format"] == "json":
        formatter = JsonFormatter(part, Redactor(known), trace)
    else:
        formatter = TextFormatter(Redactor(known, links=False))
    handler = LimitedHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], force=True)
    set_level(settings["log_level"])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _RETRYING:
        last_lines.mute(name)
    _log_the_unhandled()


def _log_the_unhandled() -> None:
    """Log uncaught exceptions, also in threads and finalizers, and warnings as events."""
    log = logging.getLogger("parley")

    def ends(kind: type[BaseException], error: BaseException, trace_back: TracebackType | None) -> None:
        log.critical("the process ends because of an unhandled error", exc_info=(kind, error, trace_back))

    def thread_ends(about: threading.ExceptHookArgs) -> None:
        name = about.thread.name if about.thread is not None else "unknown"
        if about.exc_value is not None:
            log.error("the thread %s ended because of an unhandled error", name, exc_info=about.exc_value)

    def is_lost(about: "sys.UnraisableHookArgs") -> None:
        log.error("%s: %r", about.err_msg or "an error that cannot be raised", about.object, exc_info=about.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = ends, thread_ends, is_lost
    logging.captureWarnings(capture=True)
