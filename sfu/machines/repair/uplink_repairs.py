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

    def arrived(self, packets: int) -> None:
        """Note packets of the stream that arrived, other than repairs."""
        self._allowed = min(_AT_ONCE, self._allowed + packets * _PER_PACKET)

    @property
    def allowed(self) -> int:
        """The number of repairs that may be asked for now."""
        return int(self._allowed)

    def take(self, repairs: int) -> None:
        """Take a part of what is allowed."""
        self._allowed -= repairs
