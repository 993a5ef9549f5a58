"""Limits on the data that participants send over data channels: each message costs the node once per receiver."""

from foundation.token_bucket import TokenBucket

_MESSAGES_PER_SECOND, _MESSAGES_BURST = 100.0, 500.0
_BYTES_PER_SECOND, _BYTES_BURST = 250_000.0, 500_000.0
_PACKETS_PER_SECOND, _PACKETS_BURST = 500.0, 1000.0
_PACKET_BYTES_PER_SECOND, _PACKET_BYTES_BURST = 600_000.0, 1_200_000.0
_REFUSALS_PER_SECOND, _REFUSALS_BURST = 1.0, 5.0
_DELIVERIES_PER_SECOND, _DELIVERIES_BURST = 3_000.0, 6_000.0


class DataAllowance:
    """The allowance of one participant."""

    def __init__(self, messages: TokenBucket | None = None, octets: TokenBucket | None = None) -> None:
        self._messages = messages or TokenBucket(_MESSAGES_PER_SECOND, _MESSAGES_BURST)
        self._bytes = octets or TokenBucket(_BYTES_PER_SECOND, _BYTES_BURST)
        self._refusals = TokenBucket(_REFUSALS_PER_SECOND, _REFUSALS_BURST)

    def tells(self, now: int) -> bool:
        """Return True if it is time to report a refusal again."""
        return self._refusals.take(now)

    def take(self, size: int, now: int) -> bool:
        """Take a message's cost from the allowance, or nothing if that does not suffice; return the result."""
        if not self._messages.take(now):
            return False
        if not self._bytes.take(now, size):
            self._messages.give_back()
            return False
        return True


def packet_allowance() -> DataAllowance:
    """Return a participant's allowance for packets of data tracks."""
    return DataAllowance(
        TokenBucket(_PACKETS_PER_SECOND, _PACKETS_BURST), TokenBucket(_PACKET_BYTES_PER_SECOND, _PACKET_BYTES_BURST)
    )


def room_allowance() -> TokenBucket:
    """Return a room's allowance, in messages times receivers."""
    return TokenBucket(_DELIVERIES_PER_SECOND, _DELIVERIES_BURST)
