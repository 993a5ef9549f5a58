"""A receiver of traces (OTLP over HTTP) beside a test, in a thread with its own event loop."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from parley.network import allocate_port


@dataclass(slots=True)
class TraceReceiver:
    """Receiver whose `url` is the value for PARLEY_OTLP_URL."""

    url: str
    spans: list[Span] = field(default_factory=list)

    def traces(self) -> dict[str, dict[str, Span]]:
        """Return spans by name, grouped by the hexadecimal id of their trace."""
        found: dict[str, dict[str, Span]] = defaultdict(dict)
        for span in list(self.spans):
            found[span.trace_id.hex()][span.name] = span
        return found


@contextlib.contextmanager
def running_trace_receiver(port: int = 0) -> Iterator[TraceReceiver]:
    """Run a receiver until the end."""
    port = port or allocate_port()
    receiver = TraceReceiver(f"http://127.0.0.1:{port}")
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def collect() -> None:
        async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as tap:
            collecting = asyncio.create_task(_collect(tap, receiver.spans))
            started.set()
            await stop.wait()
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(collect(),), daemon=True)
    thread.start()
    try:
        assert started.wait(20), "the receiver of traces did not start"
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


async def _collect(tap: OtelTapHttpProtobufReceiver, spans: list[Span]) -> None:
    async for span in tap.stream_traces():
        spans.append(span)
