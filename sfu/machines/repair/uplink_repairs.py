"""The bound on repairs of a picture that its publisher is asked for.

Repairs take the same uplink as what they repair. If it carries less than is sent, most repairs are lost as well, and
displace new pictures, which then need repairs, too. So each packet that arrives allows half a repair: enough for a loss
of 30 percent, lost repairs included.
"""

_PER_PACKET = 0.5
_AT_ONCE = 96.0


class UplinkRepairs:
    """The allowance of one stream, in packets; it starts full."""

    def __init__(self) -> None:
        self._allowed = _AT_ONCE
        self._received = 0

    def allowed(self, received: int) -> int:
        """Return how many repairs may be asked for, once `received` packets other than repairs have arrived in all."""
        arrived, self._received = max(0, received - self._received), received
        self._allowed = min(_AT_ONCE, self._allowed + arrived * _PER_PACKET)
        return int(self._allowed)

    def take(self, repairs: int) -> None:
        """Take a part of what is allowed."""
        self._allowed -= repairs
