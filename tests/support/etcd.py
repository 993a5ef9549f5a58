"""Debian's etcd as a process of its own, with its data below a temporary directory; starts in about a second."""

import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from parley.network import allocate_port


@dataclass(slots=True)
class RunningEtcd:
    """A member that is a cluster by itself; `url` is what clients use."""

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_etcd(host: str = "127.0.0.1", prefix: Sequence[str] = (), port: int = 0) -> Iterator[RunningEtcd]:
    """Run etcd on `host` until the end; `prefix` is the argv that enters a namespace, where `port` is to be given."""
    directory = Path(tempfile.mkdtemp(prefix="etcd-"))
    url = f"http://{host}:{port or allocate_port(host)}"
    peer = f"http://127.0.0.1:{allocate_port('127.0.0.1')}"
    command = [
        *prefix,
        *("etcd", "--name", "one", "--data-dir", str(directory / "data"), "--unsafe-no-fsync"),
        *("--listen-client-urls", url, "--advertise-client-urls", url, "--log-level", "warn"),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"),
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _until_healthy(url, process, directory / "log")
            yield RunningEtcd(url, process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(directory, ignore_errors=True)


def _until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            if b'"true"' in answer.read():
                return
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
