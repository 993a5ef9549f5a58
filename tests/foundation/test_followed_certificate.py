"""A renewed certificate reaches new connections without a restart; half a renewal changes nothing."""

import asyncio
import datetime
import logging
import ssl
from pathlib import Path

import pytest

from foundation.followed_certificate import ServedCertificate
from parley import certificate
from parley.network import allocate_port

NOW = datetime.datetime.now(datetime.UTC)


def renew(folder: Path, name: str) -> str:
    """Write another certificate to the folder's `certificate.pem` and `key.pem`, and return it."""
    made = certificate.ensure(folder / name, [f"{name}.example"], NOW)
    for path in (made.certificate, made.key):
        (folder / path.name).write_bytes(path.read_bytes())
    return made.certificate.read_text().strip()


async def test_new_connections_get_the_renewed_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = renew(tmp_path, "first")
    files = (tmp_path / "certificate.pem", tmp_path / "key.pem")
    served = ServedCertificate(*files)
    port = allocate_port()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def seen() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=10).strip()

    async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=served.context):
        assert await asyncio.to_thread(seen) == first
        key = files[1].read_bytes()
        second = renew(tmp_path, "second")
        new_key = files[1].read_bytes()
        files[1].write_bytes(key)  # the certificate is renewed, its key not yet
        with caplog.at_level(logging.WARNING):
            served.refresh()
        assert "cannot be used" in caplog.text
        assert await asyncio.to_thread(seen) == first
        files[1].write_bytes(new_key)
        served.refresh()
        assert await asyncio.to_thread(seen) == second
