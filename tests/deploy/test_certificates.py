"""Certificates of the gateway in containers: copied from where only root can read, and again on renewal."""

import contextlib
import datetime
import os
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from parley import certificate, nginx_config
from parley.network import allocate_port
from parley.nginx_config import Gateway
from tests.support.waiting import accepts, until

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
NAME = "meet.example.org"


def renew(certbot: Path, number: int) -> None:
    """Lay a certificate as certbot does: links in one folder to files in another, which only root can read."""
    archive, live = certbot / "archive" / NAME, certbot / "live" / NAME
    for folder in (archive, live):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = certificate.ensure(certbot / f"made-{number}", [NAME], datetime.datetime.now(datetime.UTC))
    for name, file in (("fullchain", made.certificate), ("privkey", made.key)):
        one = archive / f"{name}{number}.pem"
        one.write_bytes(file.read_bytes())
        one.chmod(0o600)
        link = live / f"{name}.new"
        link.symlink_to(f"../../archive/{NAME}/{one.name}")
        link.replace(live / f"{name}.pem")


@contextlib.contextmanager
def script(name: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    command = ["sh", str(COMPOSE / name), *map(str, arguments)]
    process = subprocess.Popen(command, env=os.environ | {"PARLEY_LOOK_SECONDS": "0.1"}, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    certbot, folder, port = tmp_path / "letsencrypt", tmp_path / "gateway", allocate_port()
    (folder / "given").mkdir(parents=True)
    renew(certbot, 1)
    gateway = Gateway(
        control=("127.0.0.1:9",),
        internal="127.0.0.1:9",
        node_secret="secret",
        state=tmp_path,
        https=(f"127.0.0.1:{port}",),
        certificate=folder / "given" / "fullchain.pem",
        private_key=folder / "given" / "privkey.pem",
        workers="1",
    )
    (folder / "nginx.conf").write_text(nginx_config.render(gateway, nginx_config.found()))

    def served() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port)).strip() if accepts(port) else ""

    def wanted(number: int) -> str:
        return (certbot / "archive" / NAME / f"fullchain{number}.pem").read_text().strip()

    with script("copy-certificate.sh", certbot / "live" / NAME, folder / "given"):
        until((folder / "given" / "privkey.pem").exists)
        with script("gateway.sh", folder) as process:
            until(lambda: served() == wanted(1))
            whole = (folder / "nginx.conf").read_text()
            (folder / "nginx.conf").write_text("nonsense")
            renew(certbot, 2)
            until(lambda: (folder / "given" / "fullchain.pem").read_text().strip() == wanted(2))
            assert served() == wanted(1), "what nginx would not take is left alone"
            (folder / "nginx.conf").write_text(whole)
            until(lambda: served() == wanted(2))
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
