"""The authority of an installation's parts, and the certificates that it signs for them (foundation.part_tls)."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from foundation import private_file
from foundation.part_tls import PART_NAME

AUTHORITY, AUTHORITY_KEY = "ca.pem", "ca-key.pem"
CERTIFICATE, KEY = "part.pem", "part-key.pem"
_AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
LIFETIME = datetime.timedelta(days=397)
_SKEW = datetime.timedelta(hours=1)  # of machines whose clocks are behind
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parley's parts")])


def make(directory: Path, now: datetime.datetime) -> bool:
    """Write a new certificate, and an authority if `directory` has none; return True if it had none.

    Raises OSError, or ValueError if the authority's files are not what they should be.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    is_new = not (directory / AUTHORITY_KEY).exists()
    if is_new:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(directory / AUTHORITY, directory / AUTHORITY_KEY, _authority(key, now), key)
    else:
        loaded = serialization.load_pem_private_key((directory / AUTHORITY_KEY).read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{directory / AUTHORITY_KEY} is not an elliptic-curve key")
        key = loaded
    authority = x509.load_pem_x509_certificate((directory / AUTHORITY).read_bytes())
    part_key = ec.generate_private_key(ec.SECP256R1())
    _write(directory / CERTIFICATE, directory / KEY, _part(part_key, authority, key, now), part_key)
    return is_new


def _write(path: Path, key_path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = serialization.Encoding.PEM
    private_file.replace(
        key_path, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private_file.replace(path, certificate.public_bytes(pem))


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    public = key.public_key()
    return (
        _begun(_NAME, now, _AUTHORITY_LIFETIME, public)
        .subject_name(_NAME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _part(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> x509.Certificate:
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _begun(authority.subject, now, LIFETIME, key.public_key())
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PART_NAME)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(PART_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _begun(
    issuer: x509.Name, now: datetime.datetime, lifetime: datetime.timedelta, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
