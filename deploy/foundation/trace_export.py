"""Spans by OpenTelemetry, sent over OTLP/HTTP (the extra `traces`) when `otlp_url` is set.

Control decides by trace id which requests are recorded, whatever a browser wishes; the other parts follow control.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from foundation import tracing
from foundation.settings import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer as OtelTracer

_EXPORT_SECONDS = 5
_LAST_EXPORT_MS = 1000


class _Span:
    def __init__(self, span: "OtelSpan") -> None:
        self._span = span
        context = span.get_span_context()
        recorded = span.is_recording()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01" if recorded else ""

    def end(self, error: str = "") -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  an extra

        if error:
            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


class _Tracer:
    def __init__(self, tracer: "OtelTracer") -> None:
        self._tracer = tracer

    def start(self, name: str, parent: str, attributes: Mapping[str, str | int]) -> tracing.Span:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  an extra
            TraceContextTextMapPropagator,
        )

        context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
        return _Span(self._tracer.start_span(name, context, attributes=attributes))


@contextmanager
def recording(settings: Settings, part: str) -> Iterator[None]:
    """Record this process's spans while inside; raises SettingsError when that is wished for and impossible."""
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
        provider.force_flush(_LAST_EXPORT_MS)
        provider.shutdown()


def log_fields() -> dict[str, str]:
    """The ids of the current trace, for log lines."""
    _, trace, span = (tracing.current() or "--").split("-")[:3]
    return {"trace": trace, "span": span} if trace else {}


def _provider(url: str, ratio: float, part: str, node: str) -> "TracerProvider":
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        raise SettingsError("otlp_url is set, but OpenTelemetry is not installed: pip install 'parley-sfu[traces]'")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415
        ALWAYS_OFF,
        ALWAYS_ON,
        ParentBased,
        TraceIdRatioBased,
    )

    if not 0 <= ratio <= 1:
        raise SettingsError(f"trace_ratio: {ratio} is not between 0 and 1")
    sampler = ParentBased(TraceIdRatioBased(ratio), remote_parent_sampled=TraceIdRatioBased(ratio))
    if part != "control":
        sampler = ParentBased(ALWAYS_OFF, remote_parent_sampled=ALWAYS_ON)
    resource = Resource.create({"service.name": f"parley-{part}", "service.instance.id": node})
    provider = TracerProvider(sampler=sampler, resource=resource)
    exporter = OTLPSpanExporter(f"{url.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    return provider
