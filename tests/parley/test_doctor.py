"""`parley doctor`: faults are named with their reasons, and working parts are reported as such."""

import argparse
import asyncio
import io
import os
import socket
import struct
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from foundation.settings import resolve
from parley import doctor, install_service_command
from sfu.formats import stun

NOWHERE = "http://127.0.0.1:9"


@contextmanager
def stun_server(seen_as: tuple[str, int]) -> Iterator[str]:
    """A server that tells every caller the same address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer() -> None:
            request, caller = sock.recvfrom(1500)
            value = struct.pack("!BBH4s", 0, 1, seen_as[1] ^ 0x2112, bytes(
                a ^ b for a, b in zip(socket.inet_aton(seen_as[0]), b"\x21\x12\xa4\x42", strict=True)
            ))  # fmt: skip
            head = struct.pack("!HHI12s", stun.BINDING | 0x100, 12, 0x2112A442, request[8:20])
            sock.sendto(head + struct.pack("!HH", 0x0020, 8) + value, caller)

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def findings(tmp_path: Path, stun_at: str | None = None, **settings: str) -> dict[str, doctor.Finding]:
    environment = {f"PARLEY_{name.upper()}": value for name, value in settings.items()}
    environment |= {"HOME": str(tmp_path), "PARLEY_DATA_DIR": str(tmp_path), "PARLEY_NODE_SECRET": "s" * 32}
    return {one.what: one for one in asyncio.run(doctor.look(resolve({}, environment), stun_at))}


def test_what_is_away_is_named_with_its_reason(tmp_path: Path) -> None:
    with stun_server(("203.0.113.7", 40000)) as server:
        found = findings(
            tmp_path, server, database_url="postgresql://a:b@127.0.0.1:9/x", redis_url="redis://127.0.0.1:9/0",
            s3_endpoint=NOWHERE, s3_access_key="key", s3_secret_key="secret",
            public_hosts="127.0.0.1", sfu_udp_port="0",
        )  # fmt: skip
    bad = {what: one.said for what, one in found.items() if one.weight == "bad"}
    assert {"PostgreSQL", "Redis", "object store", "UDP outside"} <= set(bad)
    assert "connection refused" in bad["object store"]
    assert bad["UDP outside"] == "seen as 203.0.113.7, which is not in public_hosts"
    assert found["public_hosts: 127.0.0.1"].weight == "ok"


def test_settings_that_no_part_takes_are_the_first_thing(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, s3_endpoint=NOWHERE).values()
    assert (found.weight, found.what) == ("bad", "settings")
    assert "s3_access_key is not set" in found.said


def test_a_bundle_says_much_and_no_secret(tmp_path: Path) -> None:
    secret, out = "n0de-s3cret-n0de-s3cret-n0de-s3cret", tmp_path / "bundle.tar.gz"
    log = tmp_path / "parley.log"
    log.write_text(f"the header was {secret}\n")
    environment = {
        "HOME": str(tmp_path), "PARLEY_DATA_DIR": str(tmp_path / "data"), "PARLEY_NODE_SECRET": secret,
        "PARLEY_RUNTIME_DIR": str(tmp_path / "run"), "PARLEY_DATABASE_URL": "postgresql://parley:hunter22@127.0.0.1:9/x",
    }  # fmt: skip
    ports = {f"PARLEY_{name}_PORT": "9" for name in ("HTTP", "INTERNAL", "SFU_HTTP", "RECORDER", "INFERENCE")}
    command = [sys.executable, "-m", "parley", "support-bundle", "--out", str(out), "--log", str(log)]
    subprocess.run(command, env=os.environ | environment | ports, check=True, capture_output=True)
    with tarfile.open(out) as archive:
        texts = {one.name: (archive.extractfile(one) or io.BytesIO()).read().decode() for one in archive}
    assert "hunter22" not in str(texts) and secret not in str(texts)
    assert "BAD" not in texts["parley-support/doctor.txt"] and "bad  PostgreSQL" in texts["parley-support/doctor.txt"]
    assert (
        "does not answer" in texts["parley-support/ready.json"]
        and "the header was" in texts["parley-support/logs/parley.log"]
    )
    assert out.stat().st_mode & 0o077 == 0


def test_the_service_starts_the_installed_program_with_no_rights() -> None:
    text = install_service_command.unit(
        resolve({}, {"HOME": "/nowhere"}), Path("/opt/parley/bin/parley"), Path("/etc/x")
    )
    assert "ExecStart=/opt/parley/bin/parley up --config /etc/x\n" in text
    assert "\nCapabilityBoundingSet=\n" in text and "NoNewPrivileges=yes" in text and "LimitNOFILE=65536" in text
    low = resolve({}, {"HOME": "/nowhere", "PARLEY_HTTPS_PORT": "443"})
    text = install_service_command.unit(low, Path("/root/.local/bin/parley"), Path("/etc/x"))
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in text and "ProtectHome=read-only" in text


def test_the_service_is_refused_a_program_that_its_account_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    private = tmp_path / "home"
    (private / "bin").mkdir(parents=True)
    private.chmod(0o700)
    monkeypatch.setattr("sys.argv", [str(private / "bin" / "parley")])
    chosen = argparse.Namespace(print=False, unit=tmp_path / "unit", configuration=tmp_path / "toml")
    assert install_service_command.main(resolve({}, {"HOME": "/nowhere"}), chosen) == 1
    assert "is private" in capsys.readouterr().err and not chosen.unit.exists()
