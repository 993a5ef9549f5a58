"""A process's DTLS certificate, and fingerprints (RFC 8122)."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sfu.formats.sdp import Fingerprint

_HASHES: dict[str, type[hashes.SHA256] | type[hashes.SHA384] | type[hashes.SHA512]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}
_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True, eq=False)
class DtlsCertificate:
    """A private key and its self-signed certificate."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """The sha-256 fingerprint, for `a=fingerprint`."""
        return (fingerprint_of(self.certificate, "sha-256"),)


def generate_certificate() -> DtlsCertificate:
    """Return a fresh self-signed ECDSA P-256 certificate with a random name (RFC 8827, section 6.5)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return DtlsCertificate(key, self_signed(key))


def self_signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.Certificate:
    """Return a self-signed certificate of `key`. Peers check its fingerprint, not its dates."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, secrets.token_hex(16))])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .sign(key, hashes.SHA256())
    )


def fingerprint_of(certificate: x509.Certificate, algorithm: str) -> Fingerprint:
    """Return the certificate's fingerprint; raises ValueError for algorithms other than sha-256, sha-384 and
    sha-512.
    """
    if algorithm not in _HASHES:
        raise ValueError("fingerprint algorithm")
    return Fingerprint(algorithm, certificate.fingerprint(_HASHES[algorithm]()).hex(":").upper())


def matches(certificate: x509.Certificate, fingerprints: tuple[Fingerprint, ...]) -> bool:
    """Return True if the certificate matches any announced fingerprint of the strongest algorithm.

    Fingerprints of weaker algorithms are ignored (RFC 8122, section 5.1).
    """
    for algorithm in ("sha-512", "sha-384", "sha-256"):
        announced = [one for one in fingerprints if one.algorithm == algorithm]
        if announced:
            return fingerprint_of(certificate, algorithm) in announced
    return False
