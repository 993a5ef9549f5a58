"""Consent checks (RFC 7675) that the engine answers, since all peers repeat them every few seconds."""

from sfu.engine.contract import ConsentCheck
from sfu.formats import stun

MAX_ATTRIBUTES_BYTES = 256
"""The limit of a check's attributes; those of browsers' checks are shorter."""
MAX_KEY_BYTES = 64


def confine(check: ConsentCheck) -> None:
    """Raise ValueError if the check is too long for an engine."""
    if len(check.attributes) > MAX_ATTRIBUTES_BYTES or len(check.key) > MAX_KEY_BYTES:
        raise ValueError(f"a check has at most {MAX_ATTRIBUTES_BYTES} bytes of attributes, its key {MAX_KEY_BYTES}")


class Checks:
    """The check that one peer repeats; `at` is the arrival time (ns) of the newest repetition, 0 if there was none."""

    def __init__(self, check: ConsentCheck) -> None:
        """Raises ValueError if the attributes or the key are too long."""
        confine(check)
        self.at = 0
        self._check = check

    def answer(self, data: bytes, arrival: int) -> bytes | None:
        """Return the response to a datagram if it repeats the check."""
        attributes, key, mapped = self._check
        if not stun.is_request_with(attributes, data, key):
            return None
        self.at = max(self.at, arrival)
        transaction = data[8 : stun.HEADER_BYTES]
        return stun.serialize(stun.Message(stun.MessageClass.SUCCESS, transaction, xor_mapped_address=mapped), key)
