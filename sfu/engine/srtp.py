"""SRTP and SRTCP of the Python engine (RFC 3711, RFC 7714), for the three profiles of DTLS-SRTP that we offer.

libsrtp does the receiving, including replay windows. RTP is protected here, with `cryptography`: the engine knows every
packet's 48-bit index, so no rollover counter has to be guessed, late packets of any age can be protected, and AES-GCM
costs a third of libsrtp's. Callers must never protect two packets under the same (SSRC, index).
"""

import contextlib
from collections.abc import Callable

import pylibsrtp
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sfu.engine.contract import Drop, SrtpKeys, SrtpProfile

KEY_BYTES = {
    SrtpProfile.AES128_CM_HMAC_SHA1_80: (16, 14),
    SrtpProfile.AEAD_AES_128_GCM: (16, 12),
    SrtpProfile.AEAD_AES_256_GCM: (32, 12),
}
TAG_BYTES = {
    SrtpProfile.AES128_CM_HMAC_SHA1_80: 10,
    SrtpProfile.AEAD_AES_128_GCM: 16,
    SrtpProfile.AEAD_AES_256_GCM: 16,
}
MAX_PACKET_BYTES = 1500
"""The maximum length of RTP datagrams, and of libsrtp's buffer."""
REPLAY_WINDOW = 1024
MAX_STRANGERS = 64
"""The number of SSRCs without a stream for which a peer keeps replay windows."""
_SRTCP_INDEX_BYTES = 4
_RTCP_HEADER_BYTES = 8
_LABEL_KEY, _LABEL_AUTHENTICATION, _LABEL_SALT = 0, 1, 2


class SrtpError(Exception):
    """A packet was refused, for `reason`."""

    def __init__(self, reason: Drop) -> None:
        super().__init__(reason.name)
        self.reason = reason


def check_keys(keys: SrtpKeys) -> None:
    """Raise ValueError if a key's length does not match its profile."""
    expected = sum(KEY_BYTES[keys.profile])
    if len(keys.receive) != expected or len(keys.send) != expected:
        raise ValueError(f"{keys.profile.name} needs keys of {expected} bytes")


def derive_key(master_key: bytes, master_salt: bytes, label: int, size: int) -> bytes:
    """The AES-CM key derivation of RFC 3711, section 4.3, with a key derivation rate of zero."""
    salt = int.from_bytes(master_salt.ljust(14, b"\0"), "big")
    start = (salt ^ label << 48) << 16
    encryptor = Cipher(algorithms.AES(master_key), modes.CTR(start.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(size))


class GcmProtector:
    """AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714, section 8)."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._encrypt = AESGCM(derive_key(key, salt, _LABEL_KEY, len(key))).encrypt
        self._salt = int.from_bytes(derive_key(key, salt, _LABEL_SALT, 12), "big")

    def base(self, ssrc: int) -> int:
        """Return what `seal` needs to know about an SSRC."""
        return self._salt ^ ssrc << 48

    def seal(self, header: bytes, payload: bytes, base: int, index: int) -> bytes:
        """Return the protected packet. `index` is the packet's 48-bit index: rollover counter, then seq."""
        return header + self._encrypt((base ^ index).to_bytes(12, "big"), payload, header)


class CmProtector:
    """AES128_CM_HMAC_SHA1_80 (RFC 3711, sections 4.1.1 and 4.2.1)."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        session_key = derive_key(key, salt, _LABEL_KEY, len(key))
        # reset_nonce saves setting up a cipher context per packet.
        self._cipher = Cipher(algorithms.AES(session_key), modes.CTR(bytes(16))).encryptor()
        self._salt = int.from_bytes(derive_key(key, salt, _LABEL_SALT, 14), "big") << 16
        self._hmac = hmac.HMAC(derive_key(key, salt, _LABEL_AUTHENTICATION, 20), hashes.SHA1())  # noqa: S303 RFC 3711's

    def base(self, ssrc: int) -> int:
        """Return what `seal` needs to know about an SSRC."""
        return self._salt ^ ssrc << 64

    def seal(self, header: bytes, payload: bytes, base: int, index: int) -> bytes:
        """Return the protected packet. `index` is the packet's 48-bit index: rollover counter, then seq."""
        self._cipher.reset_nonce((base ^ index << 16).to_bytes(16, "big"))
        packet = header + self._cipher.update(payload)
        authentication = self._hmac.copy()
        authentication.update(packet)
        authentication.update((index >> 16 & 0xFFFFFFFF).to_bytes(4, "big"))
        return packet + authentication.finalize()[:10]


class NoProtector:
    """Plain RTP (RFC 3550)."""

    def base(self, ssrc: int) -> int:
        """Return nothing, since SSRCs need no preparation."""
        return 0

    def seal(self, header: bytes, payload: bytes, base: int, index: int) -> bytes:
        """Return the packet unchanged."""
        return header + payload


Protector = GcmProtector | CmProtector | NoProtector


def create_protector(keys: SrtpKeys) -> Protector:
    """Return what protects RTP under the send key."""
    key_bytes = KEY_BYTES[keys.profile][0]
    key, salt = keys.send[:key_bytes], keys.send[key_bytes:]
    if keys.profile is SrtpProfile.AES128_CM_HMAC_SHA1_80:
        return CmProtector(key, salt)
    return GcmProtector(key, salt)


class SrtpReceiver:
    """Unprotects one peer's packets.

    libsrtp keeps a replay window for each SSRC that ever authenticated. SSRCs without a stream are strangers, of which
    only the newest few are kept, so that a peer cannot make us hold 2**32 windows.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys.profile, keys.receive, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self.tag_bytes = TAG_BYTES[keys.profile]
        self._strangers: dict[int, None] = {}
        self._registered: set[int] = set()

    def register(self, ssrc: int) -> None:
        """Keep the SSRC's replay window for as long as it is registered."""
        self._strangers.pop(ssrc, None)
        self._registered.add(ssrc)

    def unregister(self, ssrc: int) -> None:
        self._registered.discard(ssrc)
        self._note(ssrc)

    def unprotect(self, data: bytes, ssrc: int) -> bytes:
        """Return the RTP packet of a datagram with a checked header; raises SrtpError."""
        packet = _checked(self._session.unprotect, data)
        if ssrc not in self._registered:
            self._note(ssrc)
        return packet

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Return the RTCP compound packet of a datagram; raises SrtpError."""
        size = len(data)
        trailer = _SRTCP_INDEX_BYTES + self.tag_bytes
        if not _RTCP_HEADER_BYTES + trailer <= size <= MAX_PACKET_BYTES:
            raise SrtpError(Drop.MALFORMED)
        # The E bit begins the index, which is last for AES-GCM and before the tag for AES-CM. Plain RTCP is never
        # agreed on.
        flag_at = size - _SRTCP_INDEX_BYTES if self.tag_bytes == 16 else size - trailer
        if not data[flag_at] & 0x80:
            raise SrtpError(Drop.MALFORMED)
        packet = _checked(self._session.unprotect_rtcp, data)
        ssrc = int.from_bytes(data[4:8], "big")
        if ssrc not in self._registered:
            self._note(ssrc)
        return packet

    def _note(self, ssrc: int) -> None:
        self._strangers.pop(ssrc, None)
        self._strangers[ssrc] = None
        if len(self._strangers) > MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            # A registered SSRC that never sent has no window.
            with contextlib.suppress(pylibsrtp.Error):
                self._session.remove_stream(oldest)


class PlainReceiver:
    """The counterpart of SrtpReceiver for plain RTP and RTCP."""

    tag_bytes = 0

    def register(self, ssrc: int) -> None:
        """Nothing is kept of an SSRC."""

    def unregister(self, ssrc: int) -> None:
        """Nothing is kept of an SSRC."""

    def unprotect(self, data: bytes, ssrc: int) -> bytes:
        """Return the packet unchanged."""
        return data

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Return the compound packet unchanged; raises SrtpError if it is invalid."""
        if not _RTCP_HEADER_BYTES <= len(data) <= MAX_PACKET_BYTES:
            raise SrtpError(Drop.MALFORMED)
        return data


Receiver = SrtpReceiver | PlainReceiver


class PlainRtcp:
    """The counterpart of RtcpProtector for plain RTCP."""

    def protect(self, compound: bytes) -> bytes:
        """Return the compound packet."""
        return compound


class RtcpProtector:
    """Protects RTCP under the send key."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys.profile, keys.send, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)

    def protect(self, compound: bytes) -> bytes:
        """Return the SRTCP packet; raises ValueError if it does not fit into a datagram."""
        return self._session.protect_rtcp(compound)


def _session(profile: SrtpProfile, key: bytes, direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=key, ssrc_type=direction, srtp_profile=int(profile))
    policy.window_size = REPLAY_WINDOW
    return pylibsrtp.Session(policy)


def _checked(unprotect: Callable[[bytes], bytes], data: bytes) -> bytes:
    try:
        return unprotect(data)
    except pylibsrtp.Error as error:
        # The binding distinguishes errors only by their text.
        text = str(error)
        if text.startswith("authentication"):
            raise SrtpError(Drop.AUTHENTICATION) from error
        if text.startswith("replay") or "too old" in text:
            raise SrtpError(Drop.REPLAY) from error
        raise SrtpError(Drop.MALFORMED) from error
