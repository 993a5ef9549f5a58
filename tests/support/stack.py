"""The whole topology as real processes on this machine, without containers.

It has nginx, PostgreSQL, Redis, three members of etcd, a broker that speaks Kafka's protocol, S3 and Triton outside of
`parley up`, the parts of that, Prometheus, Alertmanager, and receivers of alerts and traces.
"""

import contextlib
import http.server
import json
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parley import models_command
from tests.inference.conftest import fetched_models
from tests.support.broker import Broker, running_broker
from tests.support.etcd import etcd_members
from tests.support.gateway import NODE_SECRET, RunningGateway, running_gateway
from tests.support.jaeger import Jaeger, running_jaeger
from tests.support.monitoring import Monitoring, running_monitoring
from tests.support.object_stores import S3Server, running_s3
from tests.support.otlp import TraceReceiver, running_trace_receiver
from tests.support.stores import running_stores
from tests.support.triton import TritonServer, triton_server


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of the stack; 0 allocates one."""

    http: int = 0
    https: int = 0
    prometheus: int = 0
    alertmanager: int = 0


@dataclass(slots=True)
class Stack:
    """The running stack, and all alerts that were sent."""

    gateway: RunningGateway
    monitoring: Monitoring
    broker: Broker
    s3: S3Server
    triton: TritonServer
    traces: TraceReceiver
    jaeger: Jaeger | None
    etcd_urls: str
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.gateway.url


@contextlib.contextmanager
def running_stack(
    ports: Ports = Ports(), *, with_jaeger: bool = False, patient: bool = False, **settings: str
) -> Iterator[Stack]:
    """Start everything in order and stop it in reverse; `settings` become PARLEY_* variables.

    Traces go to a receiver within this process, or to Jaeger. Alerts wait as long as shipped if `patient`.
    """
    alerts: list[dict[str, Any]] = []
    with contextlib.ExitStack() as running:
        start = running.enter_context
        broker, s3, traces = start(running_broker()), start(running_s3()), start(running_trace_receiver())
        jaeger = start(running_jaeger()) if with_jaeger else None
        triton = _triton(running)
        around = start(running_stores()) | {
            "etcd_urls": ",".join(member.url for member in start(etcd_members(3))),
            "kafka_brokers": broker.address,
            "s3_endpoint": s3.config.endpoint,
            "s3_bucket": s3.config.bucket,
            "s3_access_key": s3.config.access_key,
            "s3_secret_key": s3.config.secret_key,
            "triton_urls": triton.grpc,
            "models_dir": str(fetched_models()),
            "otlp_url": traces.url if jaeger is None else jaeger.otlp,
            "trace_ratio": "1",
        }
        gateway = start(running_gateway(http=ports.http, https=ports.https, **(around | settings)))
        jobs = {"control": "control", "sfu": "sfu_http", "recorder": "recorder", "inference": "inference"}
        targets = {job: gateway.ports[name] for job, name in jobs.items()} | {"triton": triton.metrics_port}
        own = (ports.prometheus, ports.alertmanager)
        webhook = start(_alert_receiver(alerts))
        monitoring = start(running_monitoring(targets, NODE_SECRET, webhook, own, patient=patient))
        yield Stack(gateway, monitoring, broker, s3, triton, traces, jaeger, around["etcd_urls"], alerts)


def _triton(running: contextlib.ExitStack) -> TritonServer:
    scratch = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="triton-")))
    repository = scratch / "repository"
    assert models_command.run(["build", "--models-dir", str(fetched_models()), "--triton", str(repository)]) == 0
    return running.enter_context(triton_server(repository, scratch / "server"))


@contextlib.contextmanager
def _alert_receiver(alerts: list[dict[str, Any]]) -> Iterator[str]:
    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            alerts.extend(json.loads(body)["alerts"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
