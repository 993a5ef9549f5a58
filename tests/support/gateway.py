"""A real nginx in front of a running server, with its own certificate, on free ports."""

import contextlib
import datetime
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from parley import certificate, nginx_config
from parley.nginx_config import Gateway, PartFiles
from tests.support.ports import free_ports
from tests.support.server import RunningServer, running_server
from tests.support.waiting import accepts, until_up

NODE_SECRET = "n0de-s3cret-of-this-test-n0de-s3cret"


@dataclass(slots=True)
class RunningGateway:
    """nginx and the server behind it."""

    server: RunningServer
    http_port: int
    https_port: int
    ports: dict[str, int]
    process: subprocess.Popen[bytes]
    log: Path = field(default=Path())

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    def events(self) -> str:
        """Return nginx's log."""
        return self.log.read_text()


@contextlib.contextmanager
def running_gateway(
    prefix: Sequence[str] = (),
    *,
    http: int | None = None,
    https: int | None = None,
    parts: PartFiles | None = None,
    **settings: str,
) -> Iterator[RunningGateway]:
    """Start `parley up` behind nginx; `settings` become PARLEY_* variables. Ports that are None are allocated.

    With `parts`, the parts and nginx use mutual TLS with each other.
    """
    chosen_http, chosen_https, *rest = free_ports(8)
    http, https = http or chosen_http, https or chosen_https
    ports = dict(zip(("internal", "sfu_http", "recorder", "inference", "ingress", "phone"), rest, strict=True))
    behind = {f"{name}_port": str(port) for name, port in ports.items()} | {
        "node_secret": NODE_SECRET,
        "trusted_proxies": "127.0.0.1",
        "origins": f"https://localhost:{https}",
        "cookies": "always",
        "https_port": "-1",
    }
    if parts is not None:
        names = ("parts_certificate", "parts_key", "parts_ca")
        behind |= {name: str(path) for name, path in zip(names, parts, strict=True)}
    with running_server(prefix, **(behind | settings)) as server, tempfile.TemporaryDirectory(prefix="nginx-") as at:
        state = Path(at)
        made = certificate.ensure(state / "tls", ["localhost", "127.0.0.1"], datetime.datetime.now(datetime.UTC))
        gateway = Gateway(
            control=(f"127.0.0.1:{server.http_port}",),
            internal=f"127.0.0.1:{ports['internal']}",
            node_secret=NODE_SECRET,
            state=state,
            parts=parts,
            http=(f"127.0.0.1:{http}",),
            https=(f"127.0.0.1:{https}",),
            certificate=made.certificate,
            private_key=made.key,
            https_port_outside=https,
            workers="1",
        )
        (state / "nginx.conf").write_text(nginx_config.render(gateway, nginx_config.found()))
        log = state / "nginx.log"
        with log.open("wb") as output, nginx_process(state / "nginx.conf", output.fileno()) as process:
            until_up(process, partial(accepts, https), log)
            yield RunningGateway(server, http, https, ports | {"control": server.http_port}, process, log)


@contextlib.contextmanager
def nginx_process(configuration: Path, output: int, prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """Run nginx in the foreground, in the namespace of `prefix`; it logs to the descriptor `output`."""
    command = [*prefix, "nginx", "-c", str(configuration), "-g", "daemon off;"]
    process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
