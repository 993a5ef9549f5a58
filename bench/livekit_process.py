"""LiveKit's server for comparison, on loopback: a test tool, found by $LIVEKIT_SERVER or on the PATH."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt

from bench.sfu_process import WITH_US, Missing, Process, free_port, stopped

LIVEKIT_SERVER = "LIVEKIT_SERVER"
START_SECONDS = 30.0
TOKEN_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True)
class LiveKitProcess(Process):
    """A running server; media goes to `udp_port`."""

    signaling_url: str
    udp_port: int
    key: str
    secret: str

    def token(self, room: str, participant: str, *, publishes: bool) -> str:
        """Return a join token."""
        now = int(time.time())
        grant = {"roomJoin": True, "room": room, "canPublish": publishes, "canSubscribe": True}
        claims = {"iss": self.key, "sub": participant, "nbf": now - 10, "exp": now + TOKEN_SECONDS, "video": grant}
        return jwt.encode(claims, self.secret, "HS256")


@contextlib.contextmanager
def running_livekit() -> Iterator[LiveKitProcess]:
    """Run it with its defaults, but on loopback and with one UDP port; raises Missing if it is absent."""
    program = os.environ.get(LIVEKIT_SERVER) or shutil.which("livekit-server")
    if program is None or not Path(program).exists():
        raise Missing(f"LiveKit's server (livekit-server on the PATH, or {LIVEKIT_SERVER}=its path)")
    http, udp = free_port(), free_port(socket.SOCK_DGRAM)
    key, secret = secrets.token_hex(8), secrets.token_hex(20)
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as home:
        configuration, log = Path(home) / "livekit.yaml", Path(home) / "log"
        configuration.write_text(_CONFIGURATION.format(http=http, udp=udp, key=key, secret=secret))
        with log.open("wb") as output:
            command = [*WITH_US, program, "--config", str(configuration)]
            process = subprocess.Popen(command, stdout=output, stderr=output)
        with stopped(process):
            _await_ready(process, f"http://127.0.0.1:{http}", log)
            yield LiveKitProcess(process.pid, f"http://127.0.0.1:{http}/rtc", udp, key, secret)


_CONFIGURATION = """\
port: {http}
bind_addresses: [127.0.0.1]
logging: {{level: error}}
keys: {{"{key}": "{secret}"}}
rtc:
  udp_port: {udp}
  tcp_port: 0
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  ips: {{includes: [127.0.0.1/32]}}
  interfaces: {{includes: [lo]}}
"""


def _await_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"bench: LiveKit's server did not start:\n{log.read_text()}")
