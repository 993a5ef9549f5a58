"""Identifiers: random, and unguessable where a link is an invitation."""

import secrets

_MEETING_LETTERS = "abcdefghjkmnpqrstuvwxyz"


def meeting_id() -> str:
    """Return an id like `qwer-tyzx-cvbn`: 54 random bits that can be read aloud."""
    letters = "".join(secrets.choice(_MEETING_LETTERS) for _ in range(12))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def new_id(prefix: str) -> str:
    """Return `prefix` and 128 random bits, for example `user_3f…`."""
    return f"{prefix}_{secrets.token_hex(16)}"
