"""Traces: what every part says about its work, without knowing who listens.

A context travels as a `traceparent` (W3C Trace Context, section 3.2): in the join token, in facts, and in the records
for sinks. Until a tracer is installed nothing is recorded and every context is "". Names of attributes follow
OpenTelemetry's semantic conventions where these have one.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Literal, Protocol

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
MAX_LENGTH = 55

Attributes = Mapping[str, str | int]
Kind = Literal["internal", "server", "client", "producer", "consumer"]


class Span(Protocol):
    """One piece of work under way."""

    @property
    def traceparent(self) -> str:
        """The context to pass on; "" when nothing is recorded."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes that are known only now."""

    def end(self, error: str = "") -> None:
        """End the span, once; `error` says what went wrong."""


class Tracer(Protocol):
    """Whoever records spans."""

    def start(self, name: str, parent: str, kind: Kind, attributes: Attributes, caller: str) -> Span:
        """Begin a span below `parent` ("" begins a trace). `caller` is a stranger's context, to which it only points.

        Neither blocks nor raises.
        """


class _NoSpan:
    traceparent = ""

    def note(self, attributes: Attributes) -> None:
        return

    def end(self, error: str = "") -> None:
        return


class _NoTracer:
    def start(self, name: str, parent: str, kind: Kind, attributes: Attributes, caller: str) -> Span:
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


def start(
    name: str, parent: str = "", attributes: Attributes | None = None, *, kind: Kind = "internal", caller: str = ""
) -> Span:
    """Begin a span that is ended by hand. Attributes without a value are left out."""
    known = {key: value for key, value in (attributes or {}).items() if value != ""}
    return _Installed.tracer.start(name, parent, kind, known, caller)


def current() -> str:
    """The context of the span that this task is within."""
    return _current.get()


class Entered:
    """A span that is the current one until it is left, where a block cannot be written around the work."""

    def __init__(self, begun: Span) -> None:
        self.error = ""
        self._span = begun
        _current.set(begun.traceparent)

    @property
    def traceparent(self) -> str:
        return self._span.traceparent

    def note(self, attributes: Attributes) -> None:
        """Add attributes that are known only now."""
        self._span.note(attributes)

    def leave(self, error: str = "") -> None:
        """End the span; the task in which it was entered continues without one."""
        _current.set("")
        self._span.end(error or self.error)


def enter(name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", caller: str = "") -> Entered:
    """Begin a trace, and make its first span the current one of this task."""
    return Entered(start(name, "", attributes, kind=kind, caller=caller))


@contextlib.contextmanager
def span(
    name: str, parent: str = "", attributes: Attributes | None = None, *, kind: Kind = "internal"
) -> Iterator[Span]:
    """A span around a block, which is the current one inside it; an exception is its error."""
    begun = start(name, parent or current(), attributes, kind=kind)
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


@contextlib.contextmanager
def step(name: str, attributes: Attributes | None = None, *, kind: Kind = "client") -> Iterator[None]:
    """A span around a block of a trace that is recorded; nothing outside of one, where it would begin a trace."""
    if not current():
        yield
        return
    with span(name, "", attributes, kind=kind):
        yield
