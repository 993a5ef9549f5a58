"""A cluster on one machine: two sfu nodes in etcd, control, stores, recorder, and nginx in front.

Machines are namespaces. Machines 0 and 1 run the nodes `sfu-1` and `sfu-2`; further ones are for browsers. All traffic
is forwarded by the server's namespace, so a node's link can be cut for everyone at once.
"""

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from parley import certificate, nginx_config
from parley.certificate import ServerCertificate
from parley.nginx_config import Gateway
from tests.support.etcd import running_etcd
from tests.support.gateway import nginx_process
from tests.support.namespaces import Network, in_namespace, network
from tests.support.stores import running_stores
from tests.support.waiting import accepts, until_up

NODE_SECRET = "the-node-secret-of-the-cluster"
HTTP_PORT, HTTPS_PORT, GATEWAY_PORT, INTERNAL_PORT, ETCD_PORT = 8800, 8443, 443, 8082, 2379
NODE_HTTP_PORT = 8084


@dataclass(slots=True)
class Cluster:
    """The running cluster. `parts` are processes by name: control, recorder, sfu-1 and sfu-2."""

    network: Network
    directory: Path
    stores: dict[str, str]
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The server's address for this process."""
        return f"https://{self.network.server_address}:{HTTPS_PORT}"

    @property
    def recordings(self) -> Path:
        return self.directory / "data" / "recordings"

    def url_for(self, host: int) -> str:
        """Control's address; it forwards signaling itself."""
        return f"https://{self.network.hosts[host].server_address}:{HTTPS_PORT}"

    def gateway_for(self, host: int) -> str:
        """nginx's address; it asks control for the node of each meeting and forwards signaling to that."""
        return f"https://{self.network.hosts[host].server_address}:{GATEWAY_PORT}"

    def setup_token(self) -> str:
        """Return the token that creates the first administrator; "" once there is one."""
        link = self.directory / "data" / "control" / "first-admin-link"
        return link.read_text().partition("token=")[2].strip() if link.exists() else ""

    def log(self, part: str) -> str:
        return (self.directory / f"{part}.log").read_text()

    def set_link(self, node: str, state: str) -> None:
        """Set the link of a node's machine to `down` or `up`. Neither side is notified."""
        index = int(node.rpartition("-")[2]) - 1
        server = self.network.server
        subprocess.run(["ip", "-n", server, "link", "set", f"s{index}", state], check=True)

    def start(self, part: str, prefix: list[str], **settings: str) -> None:
        """Start one part, or restart it after its process has ended; `wait_for` returns when it serves."""
        if part in self.parts:
            self.parts[part].wait(15)
        environment = os.environ | {f"PARLEY_{name.upper()}": value for name, value in (self.stores | settings).items()}
        environment |= {
            "PARLEY_NODE_SECRET": NODE_SECRET,
            "PARLEY_DATA_DIR": str(self.directory / "data"),
            "PARLEY_RUNTIME_DIR": str(self.directory / "run"),
        }
        verb = part.partition("-")[0]
        with (self.directory / f"{part}.log").open("ab") as log:
            self.parts[part] = subprocess.Popen(
                [*prefix, sys.executable, "-m", "parley", verb],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_node(self, node: str, **settings: str) -> None:
        """Start one of the two nodes on its machine."""
        host = self.network.hosts[int(node.rpartition("-")[2]) - 1]
        self.start(
            node,
            host.prefix,
            node=node,
            control_url=f"http://{host.server_address}:{INTERNAL_PORT}",
            etcd_urls=f"http://{self.network.server_address}:{ETCD_PORT}",
            sfu_host=host.address,
            sink_sockets=str(self.directory / f"{node}.sock"),
            **settings,
        )
        self.wait_for(host.name, f"http://{host.address}:{NODE_HTTP_PORT}/health/ready", node)

    def parley_nodes(self, *arguments: str) -> str:
        """Return the output of `parley nodes`."""
        environment = os.environ | {
            "PARLEY_CONTROL_URL": f"http://{self.network.server_address}:{INTERNAL_PORT}",
            "PARLEY_NODE_SECRET": NODE_SECRET,
        }
        command = [sys.executable, "-m", "parley", "nodes", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    def node_states(self) -> dict[str, str]:
        """Return the state of each node, from `parley nodes list`."""
        rows = [line.split() for line in self.parley_nodes("list").splitlines()]
        return {row[0]: row[1] for row in rows}

    def wait_for(self, namespace: str, url: str, part: str) -> None:
        deadline = time.monotonic() + 60
        while not in_namespace(namespace, lambda: _answers(url)):
            assert self.parts[part].poll() is None and time.monotonic() < deadline, self.log(part)
            time.sleep(0.05)

    def stop(self) -> None:
        order = ("sfu-1", "sfu-2", "recorder", "control")
        for part in order:
            if part in self.parts:
                self.parts[part].terminate()
        for part in order:
            if part in self.parts:
                try:
                    self.parts[part].wait(15)
                except subprocess.TimeoutExpired:
                    self.parts[part].kill()
                    self.parts[part].wait()


@contextlib.contextmanager
def running_cluster(browsers: int, **node_settings: str) -> Iterator[Cluster]:
    """Start everything and stop it at the end; the browsers' machines are hosts 2 and up."""
    directory = Path(tempfile.mkdtemp(prefix="cluster-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        net = stack.enter_context(network(2 + browsers))
        _forward(net)
        stack.enter_context(running_etcd(net.server_address, net.server_prefix, ETCD_PORT))
        stores = stack.enter_context(running_stores())
        cluster = Cluster(net, directory, stores)
        stack.callback(cluster.stop)
        names = ["localhost", net.server_address, *(host.server_address for host in net.hosts)]
        made = certificate.ensure(directory / "tls", names, datetime.datetime.now(datetime.UTC))
        keys = os.environ | {"PARLEY_DATA_DIR": str(directory / "data")}
        subprocess.run([sys.executable, "-m", "parley", "make-keys"], env=keys, check=True, capture_output=True)
        cluster.start(
            "control",
            net.server_prefix,
            internal_host="0.0.0.0",
            etcd_urls=f"http://{net.server_address}:{ETCD_PORT}",
            tls_certificate=str(made.certificate),
            tls_key=str(made.key),
            trusted_proxies="127.0.0.1",
        )
        cluster.wait_for(net.server, f"http://127.0.0.1:{HTTP_PORT}/health/live", "control")
        stack.enter_context(_gateway(cluster, made))
        for node in ("sfu-1", "sfu-2"):
            cluster.start_node(node, **node_settings)
        sockets = ",".join(str(directory / f"{node}.sock") for node in ("sfu-1", "sfu-2"))
        cluster.start(
            "recorder",
            net.server_prefix,
            sink_sockets=sockets,
            control_url=f"http://127.0.0.1:{INTERNAL_PORT}",
        )
        cluster.wait_for(net.server, "http://127.0.0.1:8086/health/live", "recorder")
        yield cluster


@contextlib.contextmanager
def _gateway(cluster: Cluster, made: ServerCertificate) -> Iterator[None]:
    """Run nginx on the server's machine."""
    state = cluster.directory / "nginx"
    state.mkdir()
    gateway = Gateway(
        control=(f"127.0.0.1:{HTTP_PORT}",),
        internal=f"127.0.0.1:{INTERNAL_PORT}",
        node_secret=NODE_SECRET,
        state=state,
        https=(f"0.0.0.0:{GATEWAY_PORT}",),
        certificate=made.certificate,
        private_key=made.key,
        workers="1",
    )
    (state / "nginx.conf").write_text(nginx_config.render(gateway, nginx_config.found()))
    prefix = cluster.network.server_prefix
    with (
        (cluster.directory / "nginx.log").open("wb") as log,
        nginx_process(state / "nginx.conf", log.fileno(), prefix) as process,
    ):
        log_path = cluster.directory / "nginx.log"
        in_namespace(cluster.network.server, lambda: until_up(process, partial(accepts, GATEWAY_PORT), log_path))
        yield


def _forward(net: Network) -> None:
    command = [*net.server_prefix, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]
    subprocess.run(command, check=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
