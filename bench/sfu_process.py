"""The sfu under test: a real `parley sfu` process with a minimal control that signs tokens; its CPU and memory.

Only this process's time counts (user and system, so including the kernel's work for it), never the clients'.
"""

import base64
import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sfu.api.desired_state import DesiredChanges, DesiredState
from sfu.api.facts import decode_batch
from sfu.api.join_token import AUDIENCE, Grants, JoinClaims
from sfu.server import port_share
from sfu.server.port_share import PortShare
from tests.support.cpu_time import cpu_times

START_SECONDS = 60.0
STOP_SECONDS = 10.0
_LISTENER_ONLY = Grants(publish=())
_WARNING = re.compile(r"^\S+ \S+ ((?:WARNING|ERROR|CRITICAL) .*|\w*(?:Error|Exception)\b.*)$", re.MULTILINE)
_WARNINGS = 10
WITH_US: tuple[str, ...] = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
"""Make a server end with a benchmark that is killed."""


class Control:
    """A control that serves public keys, accepts facts, changes no rooms, and signs join tokens."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._kid = secrets.token_hex(4)
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self._kid, "alg": "EdDSA", "use": "sig"}
        self._keys = msgspec.json.encode({"keys": [jwk]})
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, room: str, participant: str, *, publishes: bool) -> str:
        """Return a join token."""
        now = int(time.time())
        claims = JoinClaims(
            aud=AUDIENCE,
            jti=secrets.token_hex(8),
            iat=now,
            exp=now + 60,
            room=room,
            participant=participant,
            name=participant,
            grants=Grants() if publishes else _LISTENER_ONLY,
        )
        return jwt.encode(msgspec.to_builtins(claims), self._key, "EdDSA", headers={"kid": self._kid})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keys = self._keys

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = self.path.split("/")
                if self.path == "/internal/v1/keys":
                    self._answer(200, keys)
                elif parts[:4] == ["", "internal", "v1", "rooms"] and parts[-1] == "desired":
                    self._answer(200, msgspec.json.encode(DesiredState(room=unquote(parts[4]), version=0)))
                else:
                    self._answer(404, b"{}")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/internal/v1/desired-states":
                    self._answer(200, msgspec.json.encode(DesiredChanges()))
                else:
                    self._answer(200, msgspec.json.encode({"acknowledged": decode_batch(body).n}))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Log nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a stopping sfu does not wait for its last response."""


class Missing(Exception):
    """A requirement of a server under test is missing; the message names it."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process under test."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return the user and system time of all threads so far."""
        return sum(self.cpu_times())

    def cpu_times(self) -> tuple[float, float]:
        """Return (user time, system time) of all threads so far, in seconds."""
        return cpu_times(Path(f"/proc/{self.pid}"))

    def resident_bytes(self) -> int:
        """Return the resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def metrics(self) -> dict[str, float]:
        """Return its own metrics, by name with labels; none for other servers."""
        return {}

    def descriptors(self) -> int:
        """Return the number of open file descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@dataclass(frozen=True, slots=True)
class SeveralProcesses(Process):
    """The total usage of several processes. `pid` is that of the first."""

    every: tuple[Process, ...]

    def cpu_times(self) -> tuple[float, float]:
        """Return (user time, system time) of all so far, in seconds."""
        user, system = zip(*(one.cpu_times() for one in self.every), strict=True)
        return sum(user), sum(system)

    def resident_bytes(self) -> int:
        """Return the resident memory of all."""
        return sum(one.resident_bytes() for one in self.every)

    def metrics(self) -> dict[str, float]:
        """Return the sums of their own metrics."""
        sums: Counter[str] = Counter()
        for one in self.every:
            sums.update(one.metrics())
        return dict(sums)


@dataclass(frozen=True, slots=True)
class SfuProcess(Process):
    """Our sfu, running."""

    control: Control
    signaling_url: str
    http_url: str
    secret: str
    udp_port: int

    def metrics(self) -> dict[str, float]:
        """Return the values of /metrics, by name with labels."""
        with urllib.request.urlopen(f"{self.http_url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if x and not x.startswith("#"))}


@contextlib.contextmanager
def running_sfu(share: PortShare | None = None, **settings: str) -> Iterator[SfuProcess]:
    """Run `parley sfu` on free ports on loopback, or with a share of a UDP port.

    `settings` become PARLEY_* variables.
    """
    control = Control()
    signaling, http, udp = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
    secret = secrets.token_urlsafe(16)
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as home:
        values = {
            "node_secret": secret,
            "control_url": control.url,
            "data_dir": f"{home}/data",
            "runtime_dir": f"{home}/run",
            "sfu_addresses": "127.0.0.1",
            "sfu_signaling_port": str(signaling),
            "sfu_http_port": str(http),
            "sfu_udp_port": str(udp),
            "max_participants": "5000",
            "max_transports": "5000",
            "transport_networks": "127.0.0.0/8",
        }
        environment = os.environ | {f"PARLEY_{name.upper()}": value for name, value in (values | settings).items()}
        if share is not None:
            environment[port_share.ENVIRONMENT] = port_share.encode_share(share)
        Path(f"{home}/run").mkdir()
        log = Path(f"{home}/log")
        with log.open("wb") as output:
            command = [*WITH_US, sys.executable, "-m", "parley", "sfu"]
            inherited = share.descriptors if share is not None else ()
            process = subprocess.Popen(command, env=environment, stderr=output, pass_fds=inherited)
        sfu = SfuProcess(
            process.pid,
            control,
            f"ws://127.0.0.1:{signaling}/ws/signaling",
            f"http://127.0.0.1:{http}",
            secret,
            udp,
        )
        try:
            with stopped(process):
                _await_ready(process, sfu.http_url, log)
                yield sfu
        finally:
            control.close()
            _tell_warnings(log.read_text(errors="replace"))


def _tell_warnings(log: str) -> None:
    """Print what the sfu warned of, or reported as an error, and how many times."""
    found = Counter(match[1] for match in _WARNING.finditer(log))
    for line, count in found.most_common(_WARNINGS):
        print(f"\rthe sfu logged {count} ×: {line}", file=sys.stderr)


@contextlib.contextmanager
def stopped(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Stop a server at the end of the context."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"bench: the sfu did not start:\n{log.read_text()}")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
