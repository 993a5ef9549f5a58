"""Time-based one-time passwords (RFC 6238) with the parameters that all apps support: SHA-1, 30 s, six digits."""

import base64
import hmac
import secrets
import struct
from urllib.parse import quote

_STEP_SECONDS = 30
_DIGITS = 6


def new_secret() -> str:
    """Return 160 random bits in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def uri(secret: str, account: str, issuer: str) -> str:
    """Return the URI for the QR code of an authenticator app."""
    label = quote(f"{issuer}:{account}")
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={_DIGITS}&period={_STEP_SECONDS}"


def code(secret: str, step: int) -> str:
    """Return the code of a time step (RFC 4226, section 5.3)."""
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    offset = mac[-1] & 0x0F
    number = struct.unpack_from(">I", mac, offset)[0] & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def matching_step(secret: str, given: str, now: float, last_step: int) -> int | None:
    """Return the time step of a code, at most one step from `now`; None for `last_step` and earlier ones.

    No code matches an empty secret.
    """
    if not secret:
        return None
    current = int(now) // _STEP_SECONDS
    for step in (current, current - 1, current + 1):
        if step > last_step and hmac.compare_digest(code(secret, step).encode(), given.encode()):
            return step
    return None
