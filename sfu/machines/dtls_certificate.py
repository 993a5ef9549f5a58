"""The certificate that a process shows in DTLS, and fingerprints (RFC 8122)."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sfu.formats.sdp import Fingerprint


@dataclass(frozen=True, slots=True)
class DtlsCertificate:
    """A private key and its self-signed certificate."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """The sha-256 fingerprint, for `a=fingerprint`."""
        raise ValueError


def generate_certificate() -> DtlsCertificate:
    """Return a fresh self-signed ECDSA P-256 certificate with a random name."""
    raise ValueError
