"""The generated HTTPS certificate: kept while it is valid, replaced when it is not."""

import datetime
import ssl
import stat
from pathlib import Path

from parley import certificate

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def test_a_certificate_that_fits_is_kept(tmp_path: Path) -> None:
    first = certificate.ensure(tmp_path, ["localhost", "10.0.0.7", "fd00::1"], NOW)
    again = certificate.ensure(tmp_path, ["10.0.0.7"], NOW + datetime.timedelta(days=100))
    assert again == first
    assert certificate.load(first.certificate, first.key) == first
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(first.certificate, first.key)


def test_a_new_address_or_a_near_end_brings_a_new_one(tmp_path: Path) -> None:
    first = certificate.ensure(tmp_path, ["localhost"], NOW)
    moved = certificate.ensure(tmp_path, ["localhost", "10.0.0.8"], NOW)
    assert moved.fingerprint != first.fingerprint
    later = certificate.ensure(tmp_path, ["localhost"], NOW + datetime.timedelta(days=390))
    assert later.fingerprint != moved.fingerprint
