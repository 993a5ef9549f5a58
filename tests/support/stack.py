"""The whole topology as real processes on this machine, without containers.

nginx, PostgreSQL and Redis outside of `parley up`, the four parts, Prometheus, Alertmanager and a receiver of alerts.
"""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.gateway import NODE_SECRET, RunningGateway, running_gateway
from tests.support.monitoring import Monitoring, running_monitoring
from tests.support.stores import running_stores


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the stack listens; 0 allocates."""

    http: int = 0
    https: int = 0
    prometheus: int = 0
    alertmanager: int = 0


@dataclass(slots=True)
class Stack:
    """What runs, and every alert that was sent."""

    gateway: RunningGateway
    monitoring: Monitoring
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.gateway.url


@contextlib.contextmanager
def running_stack(ports: Ports = Ports(), **settings: str) -> Iterator[Stack]:
    """Start everything in order and stop it in reverse; `settings` become PARLEY_* variables."""
    alerts: list[dict[str, Any]] = []
    with (
        running_stores() as stores,
        running_gateway(http=ports.http, https=ports.https, **(stores | settings)) as gateway,
        _alert_receiver(alerts) as webhook,
    ):
        jobs = {"control": "control", "sfu": "sfu_http", "recorder": "recorder", "inference": "inference"}
        targets = {job: gateway.ports[name] for job, name in jobs.items()}
        own = (ports.prometheus, ports.alertmanager)
        with running_monitoring(targets, NODE_SECRET, webhook, own) as monitoring:
            yield Stack(gateway, monitoring, alerts)


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
