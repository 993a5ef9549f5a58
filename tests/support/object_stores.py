"""The test's own S3 server (a real SeaweedFS), on ports chosen by the system."""

import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from objects.s3_config import S3Config
from tests.support.waiting import until_up

_PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "volume.port.public", "filer.port",
    "filer.port.grpc", "filer.port.public", "s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance",
    "admin.port", "admin.port.grpc",
)  # fmt: skip


@dataclass
class S3Server:
    """A server that can be stopped and restarted, with its objects, at the same address."""

    directory: Path
    config: S3Config
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.directory / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd=self.directory, start_new_session=True
            )
        until_up(self.process, self.answers, self.directory / "log")

    def answers(self) -> bool:
        """Return whether it accepts an object, since its parts start one after another."""
        from objects.s3 import S3Store

        try:
            S3Store(self.config, "start/").check()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    directory = Path(tempfile.mkdtemp(prefix="s3-"))
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (directory / "data").mkdir()
    server = S3Server(
        directory,
        S3Config(
            endpoint=f"http://127.0.0.1:{ports['s3.port']}", bucket="parley", access_key=access, secret_key=secret
        ),
        [
            str(Path(sysconfig.get_path("scripts")) / "weed"),
            "mini",
            f"-dir={directory / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.config={directory / 'identities.json'}",
            "-admin.ui=false",
            "-webdav=false",
            *(f"-{name}={port}" for name, port in ports.items()),
        ],
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Return free ports below the range of ephemeral ports, so that no connection takes one by chance."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            sock = stack.enter_context(socket.socket())
            try:
                sock.bind(("127.0.0.1", 12_000 + secrets.randbelow(18_000)))
            except OSError:
                continue
            ports.append(sock.getsockname()[1])
        return ports
