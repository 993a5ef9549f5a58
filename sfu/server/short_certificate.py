"""Certificates for WebTransport: read from files, or short-lived ones that a page trusts by their hash.

Browsers accept a certificate by hash (`serverCertificateHashes`, W3C WebTransport, section 6.9) if it uses ECDSA P-256
and is valid for at most two weeks.
"""

import base64
import datetime
from pathlib import Path
from typing import NamedTuple

from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = datetime.timedelta(days=13)
RENEWED_AFTER = datetime.timedelta(days=7)
_SKEW = datetime.timedelta(hours=6)  # for clients whose clocks are behind


class CertificateFiles(NamedTuple):
    """A PEM chain and its key."""

    certificate: Path
    key: Path


class ServedCertificate:
    """Keeps the certificate of a QUIC configuration fresh. `hash` is the base64 of its SHA-256, "" for one from
    files.
    """

    def __init__(self, configuration: QuicConfiguration, files: CertificateFiles | None) -> None:
        """Raise OSError or ValueError if the files cannot be read."""
        self.hash = ""
        self._configuration = configuration
        self._files = files
        self._renewed: datetime.datetime | None = None
        self._modified = 0
        self.refresh(datetime.datetime.now(datetime.UTC))

    def refresh(self, now: datetime.datetime) -> None:
        """Read changed files again, or create the next certificate in time."""
        if self._files is not None:
            modified = self._files.certificate.stat().st_mtime_ns
            if modified != self._modified:
                self._configuration.load_cert_chain(self._files.certificate, self._files.key)
                self._modified = modified
        elif self._renewed is None or now - self._renewed >= RENEWED_AFTER:
            self._renewed = now
            self._make(now)

    def _make(self, now: datetime.datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parley")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._configuration.certificate = certificate
        self._configuration.private_key = key
        self.hash = base64.b64encode(certificate.fingerprint(hashes.SHA256())).decode()
