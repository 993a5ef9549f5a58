"""The test's own S3 server, on ports chosen by the system: SeaweedFS, or versitygw if PARLEY_TEST_S3 names it."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from objects.s3_config import S3Config
from tests.support.ports import free_ports
from tests.support.real_programs import found
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
    """Start a server with its own directory, and stop it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="s3-"))
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    make = _versitygw if os.environ.get("PARLEY_TEST_S3") == "versitygw" else _seaweedfs
    server = make(directory, access, secret)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _versitygw(directory: Path, access: str, secret: str) -> S3Server:
    """A gateway to a directory, built by `make real`."""
    program = found("versitygw")
    assert program is not None, "run `make real` first"
    (port,) = free_ports(1)
    for name in ("data", "accounts"):
        (directory / name).mkdir()
    config = S3Config(endpoint=f"http://127.0.0.1:{port}", bucket="parley", access_key=access, secret_key=secret)
    account = ["--access", access, "--secret", secret, "--iam-dir", str(directory / "accounts")]
    command = [str(program), "--port", f"127.0.0.1:{port}", *account, "posix", str(directory / "data")]
    return S3Server(directory, config, command)


def _seaweedfs(directory: Path, access: str, secret: str) -> S3Server:
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (directory / "data").mkdir()
    return S3Server(
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
