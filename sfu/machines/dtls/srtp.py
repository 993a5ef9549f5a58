"""SRTP profiles and keys agreed on by a DTLS association (RFC 5764; AEAD profiles: RFC 7714)."""

from dataclasses import dataclass

from sfu.machines.negotiation.agreement import DtlsRole

EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"


@dataclass(frozen=True, slots=True)
class Profile:
    """A protection profile: its IANA number and the sizes (bytes) of its master key and salt."""

    number: int
    key_bytes: int
    salt_bytes: int

    @property
    def material_bytes(self) -> int:
        """The length of the keying material for both directions, in bytes."""
        return 2 * (self.key_bytes + self.salt_bytes)


# By OpenSSL's names, in order of preference.
PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": Profile(0x0007, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": Profile(0x0001, 16, 14),
    b"SRTP_AEAD_AES_256_GCM": Profile(0x0008, 32, 12),
}


@dataclass(frozen=True, slots=True)
class DtlsKeys:
    """SRTP keys of the association: the IANA profile number, and master key plus master salt for each direction."""

    profile: int
    receive: bytes
    send: bytes


def profile_by_number(number: int) -> Profile | None:
    """Return the profile with an IANA number, None for one that we do not offer."""
    return next((profile for profile in PROFILES.values() if profile.number == number), None)


def split(material: bytes, profile: Profile, role: DtlsRole) -> DtlsKeys:
    """Return keys split from exported material: client key, server key, client salt, server salt (RFC 5764, section
    4.2).
    """
    key, salt = profile.key_bytes, profile.salt_bytes
    client = material[:key] + material[2 * key : 2 * key + salt]
    server = material[key : 2 * key] + material[2 * key + salt :]
    if role is DtlsRole.CLIENT:
        return DtlsKeys(profile.number, receive=server, send=client)
    return DtlsKeys(profile.number, receive=client, send=server)
