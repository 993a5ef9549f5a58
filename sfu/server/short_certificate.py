"""Short-lived certificates for WebTransport, which a page trusts by their hash.

Browsers accept a certificate by hash (`serverCertificateHashes`, W3C WebTransport, section 6.9) if it uses ECDSA P-256
and is valid for at most two weeks.
"""

import base64
import datetime

from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = datetime.timedelta(days=13)
RENEWED_AFTER = datetime.timedelta(days=7)
_SKEW = datetime.timedelta(hours=6)  # for clients whose clocks are behind


class ShortCertificate:
    """Keeps the certificate of a QUIC configuration fresh. `hash` is the base64 of its SHA-256."""

    def __init__(self, configuration: QuicConfiguration) -> None:
        self.hash = ""
        self._configuration = configuration
        self._renewed = datetime.datetime.now(datetime.UTC)
        self._make(self._renewed)

    def refresh(self, now: datetime.datetime) -> None:
        """Create the next certificate in time."""
        if now - self._renewed >= RENEWED_AFTER:
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
