"""Debian's etcd as a separate process, with its data in a temporary directory; it starts in about a second.

It is open to everyone, or runs like one shared with others: over TLS, with accounts.
"""

import base64
import contextlib
import datetime
import json
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from parley import certificate
from parley.certificate import ServerCertificate
from tests.support.ports import free_ports
from tests.support.waiting import until_up


@dataclass(slots=True)
class RunningEtcd:
    """A single-member cluster; `url` is for clients."""

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_etcd(
    host: str = "127.0.0.1",
    prefix: Sequence[str] = (),
    port: int = 0,
    tls: ServerCertificate | None = None,
    options: Sequence[str] = (),
) -> Iterator[RunningEtcd]:
    """Run etcd on `host`, and stop it at the end.

    `prefix` is the argv that enters a namespace; `port` is then required.
    """
    directory = Path(tempfile.mkdtemp(prefix="etcd-"))
    clients, peers = free_ports(2)
    url = f"{'http' if tls is None else 'https'}://{host}:{port or clients}"
    peer = f"http://127.0.0.1:{peers}"
    command = [
        *prefix,
        *("etcd", "--name", "one", "--data-dir", str(directory / "data"), "--unsafe-no-fsync"),
        *("--listen-client-urls", url, "--advertise-client-urls", url, "--log-level", "warn"),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"),
        *(() if tls is None else ("--cert-file", str(tls.certificate), "--key-file", str(tls.key))),
        *options,
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            until_up(process, partial(_is_healthy, url, _trusting(tls)), directory / "log")
            yield RunningEtcd(url, process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def etcd_members(count: int) -> Iterator[list[RunningEtcd]]:
    """Run a cluster of several members."""
    directory = Path(tempfile.mkdtemp(prefix="etcd-"))
    urls = [f"http://127.0.0.1:{port}" for port in free_ports(2 * count)]
    urls, peers = urls[:count], urls[count:]
    cluster = ",".join(f"m{number}={peer}" for number, peer in enumerate(peers))
    members = []
    with (directory / "log").open("wb") as log:
        try:
            for number, (url, peer) in enumerate(zip(urls, peers, strict=True)):
                command = [
                    *("etcd", "--name", f"m{number}", "--data-dir", str(directory / f"m{number}")),
                    *("--listen-client-urls", url, "--advertise-client-urls", url, "--log-level", "warn"),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster),
                    "--unsafe-no-fsync",
                ]
                process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
                members.append(RunningEtcd(url, process))
            for member in members:
                until_up(member.process, partial(_is_healthy, member.url, None), directory / "log")
            yield members
        finally:
            for member in members:
                member.process.kill()
                member.process.wait()
            shutil.rmtree(directory, ignore_errors=True)


class SecuredEtcd:
    """An etcd over TLS.

    `user` may only access keys below `/parley/`, with `password`; `ca` is the certificate to trust.
    """

    def __init__(self, running: RunningEtcd, ca: Path, trusting: ssl.SSLContext | None) -> None:
        self.url = running.url
        self.process = running.process
        self.ca = ca
        self.user = "parley"
        self.password = secrets.token_urlsafe()
        self._root = secrets.token_urlsafe()
        self._trusting = trusting
        self._token = ""

    def enable(self) -> None:
        """Create the accounts, and admit nobody else from then on."""
        start, end = (base64.b64encode(key).decode() for key in (b"/parley/", b"/parley0"))
        self._auth("user/add", name="root", password=self._root)
        self._auth("user/grant", user="root", role="root")
        self._auth("role/add", name="meetings")
        self._auth("role/grant", name="meetings", perm={"permType": "READWRITE", "key": start, "range_end": end})
        self._auth("user/add", name=self.user, password=self.password)
        self._auth("user/grant", user=self.user, role="meetings")
        self._auth("enable")

    def add_account(self, name: str) -> None:
        """Create another account, as its operator may at any time."""
        self._token = self._auth("authenticate", name="root", password=self._root)["token"]
        self._auth("user/add", name=name, password=secrets.token_urlsafe())

    def _auth(self, path: str, **body: object) -> dict[str, Any]:
        headers = {"Authorization": self._token} if self._token else {}
        request = urllib.request.Request(f"{self.url}/v3/auth/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10, context=self._trusting) as answer:
            answered: dict[str, Any] = json.loads(answer.read())
            return answered


@contextlib.contextmanager
def secured_etcd(directory: Path, *options: str) -> Iterator[SecuredEtcd]:
    """Run etcd over TLS, with an account; `options` are etcd's own."""
    made = certificate.ensure(directory, ["localhost", "127.0.0.1"], datetime.datetime.now(datetime.UTC))
    # The cheapest password check that etcd allows, for a machine that is busy with tests.
    with running_etcd(tls=made, options=("--bcrypt-cost", "4", *options)) as running:
        secured = SecuredEtcd(running, made.certificate, _trusting(made))
        secured.enable()
        yield secured


def _trusting(tls: ServerCertificate | None) -> ssl.SSLContext | None:
    return None if tls is None else ssl.create_default_context(cafile=str(tls.certificate))


def _is_healthy(url: str, context: ssl.SSLContext | None) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1, context=context) as answer:
        return b'"true"' in answer.read()
    return False
