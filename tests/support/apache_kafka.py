"""Apache Kafka: brokers that are their own controllers (KRaft), on free ports of the loopback.

A cluster is plain, or as operators have it: accounts (SASL SCRAM), TLS of a private authority, and access lists.
"""

import contextlib
import datetime
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from parley import certificate
from parley.network import allocate_port
from tests.support.real_programs import found
from tests.support.waiting import until_listening

_BOOT_SECONDS = 90
_MEMORY = ("-Xmx400m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


def is_installed() -> bool:
    """Return True if there are Kafka's jars, and Java."""
    return found("kafka") is not None and shutil.which("java") is not None


def java(*arguments: str) -> list[str]:
    """Return the command of a class of Kafka's."""
    return ["java", *_MEMORY, "-cp", f"{found('kafka')}/*", *arguments]


@dataclass(frozen=True, slots=True)
class Account:
    """The account of Parley at a secured cluster, and the authority that signed its certificates."""

    username: str
    password: str
    authority: Path


class ApacheKafka:
    """A broker that can be crashed, frozen, stopped and started again, at the same address and with its records."""

    def __init__(self, directory: Path, port: int) -> None:
        self.port = port
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Start, without waiting."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                java("kafka.Kafka", str(self._directory / "server.properties")),
                stdout=log,
                stderr=log,
                cwd=self._directory,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it listens."""
        assert self._process is not None
        try:
            until_listening(self._process, self.port, _BOOT_SECONDS)
        except AssertionError as error:
            error.add_note((self._directory / "log").read_text()[-3000:])
            raise

    def start(self) -> None:
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Crash it. What it has acknowledged is in its files."""
        self.kill(signal.SIGKILL)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal; wait for the end unless it is SIGSTOP or SIGCONT."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            if number not in {signal.SIGSTOP, signal.SIGCONT}:
                self._process.wait(60)


@dataclass(slots=True)
class KafkaCluster:
    """Running brokers; `account` is None in a plain cluster."""

    brokers: list[ApacheKafka]
    account: Account | None

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(broker.address for broker in self.brokers)

    @property
    def address(self) -> str:
        return ",".join(self.addresses)


@contextlib.contextmanager
def running_kafka(size: int = 1, *, secured: bool = False) -> Iterator[KafkaCluster]:
    """Start `size` brokers and stop them at the end.

    A secured cluster has an account that may write and read Parley's topics, and create them.
    """
    home = Path(tempfile.mkdtemp(prefix="kafka-"))
    ports = [(allocate_port(), allocate_port(), allocate_port()) for _ in range(size)]
    account = None
    if secured:
        made = certificate.ensure(home / "tls", ["127.0.0.1", "localhost"], datetime.datetime.now(datetime.UTC))
        (home / "server.pem").write_text(made.key.read_text() + made.certificate.read_text())
        account = Account("parley", secrets.token_hex(8), made.certificate)
    cluster = str(subprocess.check_output(java("kafka.tools.StorageTool", "random-uuid"), text=True)).split()[-1]
    brokers = []
    try:
        for number, mine in enumerate(ports, 1):
            directory = home / str(number)
            directory.mkdir()
            properties = directory / "server.properties"
            properties.write_text(_properties(number, ports, directory, account))
            scram = (
                [] if account is None else ["--add-scram", f"SCRAM-SHA-512=[name=parley,password={account.password}]"]
            )
            format_storage = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties), *scram)
            subprocess.run(java(*format_storage), check=True, capture_output=True, cwd=directory, timeout=120)
            brokers.append(ApacheKafka(directory, mine[0]))
        for broker in brokers:
            broker.launch()
        for broker in brokers:
            broker.wait()
        if account is not None:
            _allow(home, ports[0][2])
        yield KafkaCluster(brokers, account)
    finally:
        for broker in brokers:
            broker.kill(signal.SIGKILL)
        shutil.rmtree(home)


def _properties(number: int, ports: list[tuple[int, int, int]], directory: Path, account: Account | None) -> str:
    """Return the settings of a broker. `ports` are those of clients, controllers and, if secured, between brokers."""
    client, controller, between = ports[number - 1]
    replicas = min(3, len(ports))
    voters = ",".join(f"{other}@127.0.0.1:{theirs[1]}" for other, theirs in enumerate(ports, 1))
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(directory / "data"),
        "num.partitions": "6",
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(max(1, replicas - 1)),
        "group.initial.rebalance.delay.ms": "0",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        settings[f"{topic}.replication.factor"] = str(replicas)
    if account is None:
        settings |= {
            "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{client}",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        }
    else:
        both = f'{_PLAIN} username="broker" password="{account.password}b" user_broker="{account.password}b";'
        settings |= {
            "listeners": (
                f"SASL_SSL://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller},SASL_PLAINTEXT://127.0.0.1:{between}"
            ),
            "advertised.listeners": f"SASL_SSL://127.0.0.1:{client},SASL_PLAINTEXT://127.0.0.1:{between}",
            "inter.broker.listener.name": "SASL_PLAINTEXT",
            # The controllers' listener needs accounts, too, or brokers are refused by the access lists.
            "listener.security.protocol.map": (
                "CONTROLLER:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"
            ),
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": both,
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": both,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(directory.parent / "server.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(account.authority),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:broker",
            "allow.everyone.if.no.acl.found": "false",
        }
        (directory.parent / "client.properties").write_text(
            f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={both}\n"
        )
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _allow(home: Path, port: int) -> None:
    """Let Parley's account write, read and create its topics."""
    rights = ("--operation", "Write", "--operation", "Read", "--operation", "Describe", "--operation", "Create")
    command = java(
        "org.apache.kafka.tools.AclCommand",
        *("--bootstrap-server", f"127.0.0.1:{port}", "--command-config", str(home / "client.properties")),
        *("--add", "--allow-principal", "User:parley", *rights),
        *("--topic", "meeting.", "--resource-pattern-type", "prefixed"),
    )
    subprocess.run(command, check=True, capture_output=True, timeout=120)
