"""Webhooks: checks that a delivery comes from the server, and recognises repeated ones."""

import hmac
import re
import time
from collections import OrderedDict
from typing import Any

import msgspec

TOLERANCE_SECONDS = 300
_REMEMBERED = 10_000


class BadSignature(ValueError):
    """The delivery was not signed with this secret, or its signature is too old."""


def verify(secret: str, signature: str, body: bytes, *, now: float | None = None) -> dict[str, Any]:
    """Return the event of a delivery if its X-Parley-Signature is valid and recent; otherwise raises BadSignature.

    While a secret is rotated, the header has a signature by the new secret and one by the old; either is accepted.
    """
    fields = [part.partition("=") for part in signature.split(",")]
    at = next((value for name, _, value in fields if name == "t"), "")
    given = [value for name, _, value in fields if name == "v1"]
    if not re.fullmatch("[0-9]{1,15}", at) or abs((time.time() if now is None else now) - int(at)) > TOLERANCE_SECONDS:
        raise BadSignature("the signature has no time, or an old one")
    right = hmac.digest(secret.encode(), at.encode() + b"." + body, "sha256").hex()
    if not any(hmac.compare_digest(right.encode(), one.encode()) for one in given):
        raise BadSignature("the signature is wrong")
    event: dict[str, Any] = msgspec.json.decode(body)
    return event


class Seen:
    """Recognises repeated events by `id`: a delivery is repeated until the server gets a response."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def add(self, event: int) -> bool:
        """Remember an event; return False if it was seen before."""
        if event in self._ids:
            return False
        self._ids[event] = None
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        return True
