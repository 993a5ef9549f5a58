"""Traces of the parts' work, independent of the tracer that records them.

A context is passed on as a `traceparent` (W3C Trace Context, section 3.2): in the join token, in facts, and in the
records for sinks. Until a tracer is installed, nothing is recorded and every context is "". Names of attributes follow
OpenTelemetry's semantic conventions if these define one.
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
    """A piece of work in progress."""

    @property
    def traceparent(self) -> str:
        """The context to pass on; "" if nothing is recorded."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes that are known only now."""

    def end(self, error: str = "") -> None:
        """End the span; call this once. `error` describes a failure."""


class Tracer(Protocol):
    """A recorder of spans."""

    def start(self, name: str, parent: str, kind: Kind, attributes: Attributes, caller: str) -> Span:
        """Begin a span below `parent` ("" begins a trace). `caller` is an external context, which becomes a link.

        It neither blocks nor raises.
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
    """Record spans of this process with `tracer`; None records none."""
    _Installed.tracer = tracer or _NoTracer()


def read(traceparent: str) -> str:
    """Return a context from outside, or "" if it is invalid."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent[: MAX_LENGTH + 1]) else ""


def start(
    name: str, parent: str = "", attributes: Attributes | None = None, *, kind: Kind = "internal", caller: str = ""
) -> Span:
    """Begin a span that the caller ends. Attributes without a value are omitted."""
    known = {key: value for key, value in (attributes or {}).items() if value != ""}
    return _Installed.tracer.start(name, parent, kind, known, caller)


def current() -> str:
    """Return the context of this task's current span."""
    return _current.get()


class Entered:
    """A span that is current until it is left, for work that no `with` block can enclose."""

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
        """End the span; the task that entered it continues without one."""
        _current.set("")
        self._span.end(error or self.error)


def enter(name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", caller: str = "") -> Entered:
    """Begin a trace, and make its first span this task's current one."""
    return Entered(start(name, "", attributes, kind=kind, caller=caller))


@contextlib.contextmanager
def span(
    name: str, parent: str = "", attributes: Attributes | None = None, *, kind: Kind = "internal"
) -> Iterator[Span]:
    """A span around a block, current inside it; an exception becomes its error."""
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
    """A span around a block inside a recorded trace; nothing outside one, where it would begin a trace."""
    if not current():
        yield
        return
    with span(name, "", attributes, kind=kind):
        yield
