"""Traces: what every part says about its work, without knowing who listens.

A context travels as a `traceparent` (W3C Trace Context, section 3.2): in the header of the request to join, in the join
token, and in the records for sinks. Until a tracer is installed nothing is recorded and every context is "".
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Protocol

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
MAX_LENGTH = 55


class Span(Protocol):
    """One piece of work under way."""

    @property
    def traceparent(self) -> str:
        """The context to pass on; "" when nothing is recorded."""

    def end(self, error: str = "") -> None:
        """End the span, once; `error` says what went wrong."""


class Tracer(Protocol):
    """Whoever records spans."""

    def start(self, name: str, parent: str, attributes: Mapping[str, str | int]) -> Span:
        """Begin a span below `parent` ("" begins a trace). Neither blocks nor raises."""


class _NoSpan:
    traceparent = ""

    def end(self, error: str = "") -> None:
        return


class _NoTracer:
    def start(self, name: str, parent: str, attributes: Mapping[str, str | int]) -> Span:
        return _NO_SPAN


_NO_SPAN = _NoSpan()
_current: ContextVar[str] = ContextVar("traceparent", default="")


class _Installed:
    tracer: Tracer = _NoTracer()


def install(tracer: Tracer | None) -> None:
    """Record spans of this process by `tracer`; None records none."""
    _Installed.tracer = tracer or _NoTracer()


def read(traceparent: str) -> str:
    """Return a context that came from outside, "" when it is not one."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent[: MAX_LENGTH + 1]) else ""


def start(name: str, parent: str = "", **attributes: str | int) -> Span:
    """Begin a span that is ended by hand."""
    return _Installed.tracer.start(name, parent, attributes)


def current() -> str:
    """The context of the span that this task is within."""
    return _current.get()


class Entered:
    """A span that is the current one until it is left, where a block cannot be written around the work."""

    def __init__(self, begun: Span) -> None:
        self.error = ""
        self._span = begun
        _current.set(begun.traceparent)

    def leave(self, error: str = "") -> None:
        """End the span; the task in which it was entered continues without one."""
        _current.set("")
        self._span.end(error or self.error)


def enter(name: str, parent: str = "", **attributes: str | int) -> Entered:
    """Begin a span and make it the current one of this task."""
    return Entered(start(name, parent, **attributes))


@contextlib.contextmanager
def span(name: str, parent: str = "", **attributes: str | int) -> Iterator[Span]:
    """A span around a block, which is the current one inside it; an exception is its error."""
    begun = start(name, parent or current(), **attributes)
    token = _current.set(begun.traceparent)
    try:
        yield begun
    except BaseException as error:
        begun.end(type(error).__name__)
        raise
    else:
        begun.end()
    finally:
        _current.reset(token)
