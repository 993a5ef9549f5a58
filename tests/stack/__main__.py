"""The whole topology on this machine until Ctrl-C, on its usual ports: `python -m tests.stack`."""

import argparse
import contextlib
import signal
import sys
import threading

from tests.support.apache_kafka import is_installed
from tests.support.real_programs import found
from tests.support.stack import Ports, running_stack
from tests.support.victoria_logs import VictoriaLogs, running_victoria_logs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stack", description=__doc__)
    parser.add_argument("--http", type=int, default=8800, help="gateway, for this machine (default 8800)")
    parser.add_argument("--https", type=int, default=8443, help="gateway, for everyone (default 8443; 443 needs root)")
    parser.add_argument("--prometheus", type=int, default=8801)
    parser.add_argument("--alertmanager", type=int, default=8802)
    chosen = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    ports = Ports(chosen.http, chosen.https, chosen.prometheus, chosen.alertmanager)
    with contextlib.ExitStack() as running:
        logs: VictoriaLogs | None = None
        if found("victoria-logs"):
            logs = running.enter_context(running_victoria_logs())
        settings = {} if logs is None else {"log_format": "json"}
        stack = running.enter_context(running_stack(ports, with_jaeger=found("jaeger") is not None, **settings))
        setup = stack.gateway.server.setup_link.partition("/setup")[2]
        broker = "Apache Kafka" if is_installed() else "noida-db, an emulator: `make real` gets Apache Kafka"
        kept = "on this terminal: `make real` gets VictoriaLogs" if logs is None else f"{logs.url}/select/vmui"
        traces = f"{stack.traces.url}  (a receiver: `make real` gets Jaeger)"
        if stack.jaeger is not None:
            traces = f"{stack.jaeger.query}/api/traces?service=parley-sfu  (Jaeger)"
        print(
            f"gateway       {stack.url}  (and http://localhost:{stack.gateway.http_port})",
            f"Prometheus    {stack.monitoring.prometheus}",
            f"Alertmanager  {stack.monitoring.alertmanager}",
            f"S3            {stack.s3.config.endpoint}  (bucket {stack.s3.config.bucket})",
            f"Kafka         {stack.broker.address}  ({broker})",
            f"Triton        {stack.triton.http}  (gRPC {stack.triton.grpc})",
            f"traces        {traces}",
            f"logs          {kept}",
            f"etcd          {stack.etcd_urls}",
            f"first admin   {stack.url}/setup{setup}",
            "Ctrl-C stops everything.",
            sep="\n",
            flush=True,
        )
        while not stop.wait(1):
            if logs is not None:
                logs.ship("parley", stack.gateway.server.lines)
                logs.ship("gateway", stack.gateway.events().splitlines())
            if stack.gateway.server.process.poll() is not None:
                print(*stack.gateway.server.lines[-20:], sep="\n", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
