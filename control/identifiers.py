"""Identifiers: random, and unguessable where a link is an invitation."""

import re
import secrets

_MEETING_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_MEETING = re.compile(rf"[{_MEETING_LETTERS}]{{4}}(-[{_MEETING_LETTERS}]{{4}}){{2}}")


def meeting_id() -> str:
    """Return an id like `qwer-tyzx-cvbn`: 54 random bits that can be read aloud."""
    letters = "".join(secrets.choice(_MEETING_LETTERS) for _ in range(12))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def is_meeting_id(text: str) -> bool:
    """Return whether a text has the form of a meeting's id."""
    return _MEETING.fullmatch(text) is not None


def new_id(prefix: str) -> str:
    """Return `prefix` and 128 random bits, for example `user_3f…`."""
    return f"{prefix}_{secrets.token_hex(16)}"
