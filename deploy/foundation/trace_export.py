"""Export of spans by OpenTelemetry over OTLP/HTTP (the extra `traces`) if `otlp_url` is set.

Control decides which requests are recorded, by an id that it generates: a browser's headers have no effect. The other
parts follow control. While the collector is unavailable, spans are lost and two lines are logged, but nothing waits.
"""

import importlib.util
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import Counter

from foundation import last_lines, tracing
from foundation.outages import Outages
from foundation.settings import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer as OtelTracer

_log = logging.getLogger(__name__)
_EXPORT_SECONDS = 5
_LAST_SECONDS = 1.0
_EXPORTED = Counter("parley_spans_total", "Spans of traces, by outcome of their export", ["outcome"])


class _Span:
    def __init__(self, span: "OtelSpan") -> None:
        self._span = span
        context = span.get_span_context()
        recorded = span.is_recording()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01" if recorded else ""

    def note(self, attributes: tracing.Attributes) -> None:
        self._span.set_attributes(attributes)

    def end(self, error: str = "") -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  an extra

        if error:
            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


class _Tracer:
    def __init__(self, tracer: "OtelTracer") -> None:
        self._tracer = tracer

    def start(
        self, name: str, parent: str, kind: tracing.Kind, attributes: tracing.Attributes, caller: str
    ) -> tracing.Span:
        from opentelemetry.trace import Link, SpanKind, get_current_span  # noqa: PLC0415  an extra
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        read = TraceContextTextMapPropagator().extract
        links = [Link(get_current_span(read({"traceparent": caller})).get_span_context())] if caller else None
        context = read({"traceparent": parent}) if parent else None
        made = self._tracer.start_span(name, context, SpanKind[kind.upper()], attributes, links)
        return _Span(made)


class _Exporter:
    """Passes spans to OpenTelemetry's exporter, counts lost ones, and logs each outage once."""

    def __init__(self, inner: "SpanExporter", url: str) -> None:
        self._inner = inner
        self._outage = Outages(f"traces are lost: {url} does not accept them")
        last_lines.mute("opentelemetry")

    def export(self, spans: "Sequence[ReadableSpan]") -> object:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415  an extra

        result = self._inner.export(spans)
        sent = result is SpanExportResult.SUCCESS
        _EXPORTED.labels("sent" if sent else "lost").inc(len(spans))
        if line := self._outage.note(
            None if sent else last_lines.take("opentelemetry") or "no answer", time.monotonic()
        ):
            _log.warning("%s", line)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._inner.force_flush(timeout_millis)


@contextmanager
def recording(settings: Settings, part: str) -> Iterator[None]:
    """Record this process's spans inside the context; raises SettingsError if that is configured but impossible."""
    url = settings["otlp_url"]
    if url is None:
        yield
        return
    provider = _provider(url, settings["trace_ratio"], part, settings["sfu_node"])
    tracing.install(_Tracer(provider.get_tracer("parley")))
    try:
        yield
    finally:
        tracing.install(None)
        # A collector that hangs must not delay the end of the process.
        last = threading.Thread(target=provider.shutdown, daemon=True)
        last.start()
        last.join(_LAST_SECONDS)


def log_fields() -> dict[str, str]:
    """Return the ids of the current trace, for log lines."""
    _, trace, span = (tracing.current() or "--").split("-")[:3]
    return {"trace": trace, "span": span} if trace else {}


def _provider(url: str, ratio: float, part: str, node: str) -> "TracerProvider":
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        raise SettingsError("otlp_url is set, but OpenTelemetry is not installed: pip install 'parley-sfu[traces]'")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased  # noqa: PLC0415

    if not 0 <= ratio <= 1:
        raise SettingsError(f"trace_ratio: {ratio} is not between 0 and 1")
    # A parent is always one of our spans: control signed it, or it came with the node secret.
    sampler = ParentBased(TraceIdRatioBased(ratio) if part == "control" else ALWAYS_OFF)
    host = socket.gethostname()
    resource = Resource.create(
        {
            "service.name": f"parley-{part}",
            "service.version": version("parley-sfu"),
            "service.instance.id": f"{host}/{os.getpid()}",
            "host.name": host,
            "parley.node": node,
        }
    )
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    exporter = _Exporter(OTLPSpanExporter(f"{url.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS), url)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))  # type: ignore[arg-type]
    return provider
