"""The servers for fault injection: PostgreSQL, Redis, a Kafka-compatible broker, an S3 store, control, a node.

Each is a real, separate process. Control and the node communicate as in production, and signaling goes directly to the
node, as through the gateway.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import asyncpg

from control.migrations import migrate
from parley.embedded_postgres import EmbeddedPostgres
from tests.support.broker import Broker, running_broker
from tests.support.object_stores import S3Server, running_s3

SECRET = "s" * 32
PROCESS = """
import asyncio, json, sys
from pathlib import Path
from control.config import ControlConfig
from control.config import KafkaAccess
from sfu.api.registration import NodeRecord
from control.main import run
from objects.s3_config import S3Config
given = json.loads(sys.argv[1])
node = NodeRecord(node="sfu-1", signaling_url=given["signaling"], http_url=given["node"])
asyncio.run(run(ControlConfig(
    database_dsn=given["dsn"], redis_url=given["redis"], kafka=KafkaAccess(brokers=(given["broker"],)),
    s3=given["s3"] and S3Config(**given["s3"]),
    data_dir=Path(given["directory"]) / "data", recordings_dir=Path(given["directory"]) / "recordings",
    node_secret=given["secret"], nodes=(node,), http_binds=(given["http"],), internal_bind=given["internal"],
    embedded=True, registration="open",
), lambda: print("up", flush=True)))
"""


@dataclass(slots=True)
class Servers:
    """The running servers, and faults to inject. `http` and `internal`: `host:port` of control; `made`: meetings."""

    directory: Path
    cluster: EmbeddedPostgres
    broker: Broker
    store: S3Server | None
    http: str
    internal: str
    signaling: str
    node: str
    postgres: "subprocess.Popen[bytes] | None" = None
    redis: "subprocess.Popen[bytes] | None" = None
    control: "subprocess.Popen[bytes] | None" = None
    sfu: "subprocess.Popen[bytes] | None" = None
    made: list[str] = field(default_factory=list)

    def start_postgres(self) -> None:
        with (self.directory / "postgres.log").open("ab") as log:
            self.postgres = subprocess.Popen(self.cluster.command(), stdout=log, stderr=log)
        while not self.cluster.is_ready():
            assert self.postgres.poll() is None, (self.directory / "postgres.log").read_text()
            time.sleep(0.05)

    def start_redis(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.directory / "r"), "--save", ""]
        self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.directory)

    def start_control(self) -> None:
        given = {
            "dsn": self.cluster.dsn,
            "redis": f"unix://{self.directory / 'r'}",
            "broker": self.broker.address,
            "s3": None if self.store is None else asdict(self.store.config),
            "directory": str(self.directory),
            "secret": SECRET,
            "http": self.http,
            "internal": self.internal,
            "signaling": self.signaling,
            "node": self.node,
        }
        with (self.directory / "control.log").open("ab") as log:
            command = [sys.executable, "-c", PROCESS, json.dumps(given)]
            self.control = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self.control.stdout is not None
        assert self.control.stdout.readline() == b"up\n", (self.directory / "control.log").read_text()

    def kill_control(self) -> None:
        assert self.control is not None and self.control.stdout is not None
        self.control.kill()
        self.control.wait()
        self.control.stdout.close()

    def start_sfu(self) -> None:
        home = self.directory / "sfu"
        (home / "run").mkdir(parents=True)
        values = {
            "node_secret": SECRET,
            "control_url": f"http://{self.internal}",
            "data_dir": f"{home}/data",
            "runtime_dir": f"{home}/run",
            "sfu_addresses": "127.0.0.1",
            "sfu_signaling_port": str(_port(self.signaling.removeprefix("ws://").partition("/")[0])),
            "sfu_http_port": str(_port(self.node)),
            "sfu_udp_port": str(_free_port(socket.SOCK_DGRAM)),
        }
        environment = os.environ | {f"PARLEY_{name.upper()}": value for name, value in values.items()}
        with (self.directory / "sfu.log").open("ab") as log:
            self.sfu = subprocess.Popen([sys.executable, "-m", "parley", "sfu"], env=environment, stderr=log)
        while not _answers(f"{self.node}/health/ready"):
            assert self.sfu.poll() is None, (self.directory / "sfu.log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        for process, how in (
            (self.sfu, signal.SIGTERM),
            (self.control, signal.SIGKILL),
            (self.redis, signal.SIGKILL),
            (self.postgres, signal.SIGINT),
        ):
            if process is not None and process.poll() is None:
                process.send_signal(how)
                process.wait(20)
            if process is not None and process.stdout is not None:
                process.stdout.close()


@contextlib.asynccontextmanager
async def running_servers(meetings: int, *, with_store: bool) -> AsyncIterator[Servers]:
    """Start all servers, with that many meetings for events."""
    with tempfile.TemporaryDirectory(prefix="pf") as name, running_broker() as broker, contextlib.ExitStack() as stack:
        store = stack.enter_context(running_s3()) if with_store else None
        directory = Path(name)
        cluster = EmbeddedPostgres(data=directory / "pg", socket_directory=directory / "s")
        await asyncio.to_thread(cluster.prepare)
        http, internal, signaling, node = (f"127.0.0.1:{_free_port()}" for _ in range(4))
        servers = Servers(
            directory, cluster, broker, store, http, internal, f"ws://{signaling}/ws/signaling", f"http://{node}"
        )
        try:
            await asyncio.to_thread(servers.start_postgres)
            cluster.create_database()
            await migrate(cluster.dsn)
            servers.start_redis()
            servers.made = await _fill(cluster.dsn, meetings)
            await asyncio.to_thread(servers.start_control)
            await asyncio.to_thread(servers.start_sfu)
            yield servers
        finally:
            await asyncio.to_thread(servers.stop)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def _free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _fill(dsn: str, meetings: int) -> list[str]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO users (id, username, username_key, display_name, password_hash) VALUES ('u', 'u', 'u', 'U', 'x')"
    )
    made = [f"m{number}" for number in range(meetings)]
    await connection.execute(
        "INSERT INTO meetings (id, host_id, title) SELECT m, 'u', m FROM unnest($1::text[]) m", made
    )
    await connection.execute(
        "INSERT INTO meeting_participants (id, meeting_id, name, role, rejoin_hash)"
        " SELECT 'p-' || m, m, 'P', 'host', ''::bytea FROM unnest($1::text[]) m",
        made,
    )
    await connection.close()
    return made
