"""SRTP written from the RFCs on just a block cipher, AES-GCM and HMAC, as the reference for engines."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def aes_block(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def counter_mode(key: bytes, start: int, data: bytes) -> bytes:
    stream = b"".join(aes_block(key, (start + k).to_bytes(16, "big")) for k in range(-(-len(data) // 16)))
    return bytes(left ^ right for left, right in zip(data, stream, strict=False))


def derive(master_key: bytes, master_salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711, section 4.3.3."""
    salt = int.from_bytes(master_salt + bytes(14 - len(master_salt)), "big")
    return counter_mode(master_key, (salt ^ label << 48) << 16, bytes(size))


def gcm_rtp(session_key: bytes, session_salt: bytes, packet: bytes, header_bytes: int, roc: int) -> bytes:
    """RFC 7714, section 8."""
    iv = bytes(2) + packet[8:12] + roc.to_bytes(4, "big") + packet[2:4]
    iv = bytes(left ^ right for left, right in zip(iv, session_salt, strict=True))
    header = packet[:header_bytes]
    return header + AESGCM(session_key).encrypt(iv, packet[header_bytes:], header)


def cm_rtp(
    session_key: bytes, session_salt: bytes, auth_key: bytes, packet: bytes, header_bytes: int, *, roc: int
) -> bytes:
    """RFC 3711, sections 4.1.1 and 4.2."""
    ssrc, index = int.from_bytes(packet[8:12], "big"), roc << 16 | int.from_bytes(packet[2:4], "big")
    start = int.from_bytes(session_salt, "big") << 16 ^ ssrc << 64 ^ index << 16
    protected = packet[:header_bytes] + counter_mode(session_key, start, packet[header_bytes:])
    return protected + hmac.digest(auth_key, protected + roc.to_bytes(4, "big"), hashlib.sha1)[:10]


def protect_rtp(key: bytes, packet: bytes, header_bytes: int, roc: int) -> bytes:
    """`key` is master key and salt; its length tells the profile: 28, 44 (GCM) or 30 bytes."""
    if len(key) == 30:
        master, salt = key[:16], key[16:]
        keys = (derive(master, salt, 0, 16), derive(master, salt, 2, 14), derive(master, salt, 1, 20))
        return cm_rtp(*keys, packet, header_bytes, roc=roc)
    master, salt = key[:-12], key[-12:]
    return gcm_rtp(derive(master, salt, 0, len(master)), derive(master, salt, 2, 12), packet, header_bytes, roc)
