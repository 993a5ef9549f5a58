"""The HTTPS certificate of `parley up` if none is configured: self-signed, kept, with its fingerprint shown."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from foundation import private_file

_LIFETIME = datetime.timedelta(days=397)  # the most that browsers accept
_RENEW_BEFORE = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Paths of a PEM chain and key, and the SHA-256 fingerprint of the leaf as browsers show it."""

    certificate: Path
    key: Path
    fingerprint: str


def load(certificate: Path, key: Path) -> ServerCertificate:
    """Describe a configured certificate; raises ValueError or OSError if it cannot be read."""
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    key.read_bytes()
    return ServerCertificate(certificate, key, _fingerprint(leaf))


def ensure(directory: Path, names: Sequence[str], now: datetime.datetime) -> ServerCertificate:
    """Return the kept certificate, or a new one if it lacks one of `names` (hosts, addresses) or expires soon."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if certificate.exists() and key.exists():
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        if set(names) <= _names(leaf) and leaf.not_valid_after_utc - now > _RENEW_BEFORE:
            return ServerCertificate(certificate, key, _fingerprint(leaf))
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = ec.generate_private_key(ec.SECP256R1())
    leaf = _self_signed(private, names, now)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private_file.replace(key, pem)
    private_file.replace(certificate, leaf.public_bytes(serialization.Encoding.PEM))
    return ServerCertificate(certificate, key, _fingerprint(leaf))


def _self_signed(key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: datetime.datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parley")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(leaf: x509.Certificate) -> set[str]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = extension.get_values_for_type(x509.IPAddress)
    return {str(address) for address in addresses} | set(extension.get_values_for_type(x509.DNSName))


def _fingerprint(leaf: x509.Certificate) -> str:
    return leaf.fingerprint(hashes.SHA256()).hex(":").upper()
