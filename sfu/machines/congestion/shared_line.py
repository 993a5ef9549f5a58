"""Viewers on one line, such as those in one house: none should push the others aside again and again.

A probe is short. On a line that others fill with pictures it may pass between their bursts, and then shows more than
the line carries for long: the picture gets better, the line is full, everybody's gets worse, and each begins anew. So
if the links of viewers at one address are full at the same time, the one whose estimate was raised last has caused it,
and waits before its next probe: twice as long each time, until a higher estimate lasts. The others may probe at once.

The address alone says little, since thousands may be behind one, and so does the time alone.
"""

from ipaddress import IPv6Address, IPv6Network

_PROOF_NS = 5_000_000_000  # a higher estimate that lasts so long is true
_TOGETHER_NS = 1_000_000_000
_WAIT_NS, _LONGEST_WAIT_NS = 2_000_000_000, 16_000_000_000
_CHANGE = 1.05  # times the estimate: smaller steps are its usual growth


class _Link:
    """The newest times (ns) at which a viewer's link was full, and its estimate was raised."""

    __slots__ = ("full_at", "raised_at")

    def __init__(self) -> None:
        self.full_at = self.raised_at = 0


class SharedLines:
    """The links of viewers, by the networks in which they are."""

    def __init__(self) -> None:
        self._links: dict[str, dict[int, _Link]] = {}

    def leave(self, network: str, viewer: int) -> None:
        """Forget a viewer who has gone, or moved to another network."""
        links = self._links.get(network, {})
        links.pop(viewer, None)
        if not links:
            self._links.pop(network, None)

    def raised(self, network: str, viewer: int, now: int) -> None:
        """Note that a viewer's estimate was raised; without a known network, nothing is noted."""
        if network:
            self._link(network, viewer).raised_at = now

    def full(self, network: str, viewer: int, now: int) -> None:
        """Note that a viewer's link is full."""
        if network:
            self._link(network, viewer).full_at = now

    def is_cause(self, network: str, viewer: int, raised_at: int, full_at: int) -> bool:
        """Return whether a viewer, raised and full at these times, has filled the line of others, too."""
        others = [link for other, link in self._links.get(network, {}).items() if other != viewer]
        return any(link.full_at >= full_at - _TOGETHER_NS for link in others) and not any(
            raised_at < link.raised_at < full_at for link in others
        )

    def _link(self, network: str, viewer: int) -> _Link:
        return self._links.setdefault(network, {}).setdefault(viewer, _Link())

    def __len__(self) -> int:
        return sum(map(len, self._links.values()))


def network_of(address: str) -> str:
    """Return what the addresses behind one line have in common: an IPv4 address, or 64 bits of IPv6 (RFC 6177)."""
    if ":" not in address:
        return address
    parsed = IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))


class Raises:
    """The raises of one viewer's estimate, and whether the next is to wait."""

    def __init__(self, lines: SharedLines, viewer: int) -> None:
        self._address = self._network = ""
        self._lines = lines
        self._viewer = viewer
        self._raised_at: int | None = None
        self._failed: tuple[int, int] | None = None  # raised and full at these times; it is open who has caused it
        self._wait = 0
        self._until = 0

    def move(self, address: str) -> None:
        """Take the viewer's IP address."""
        if address != self._address:
            self.leave()
            self._address, self._network = address, network_of(address)

    def leave(self) -> None:
        """Note that the viewer has gone: from now on it shares its line with nobody."""
        self._lines.leave(self._network, self._viewer)
        self._address = self._network = ""

    def update(self, before: float, after: float, now: int) -> None:
        """Take the estimate (bits/s) before and after feedback."""
        if after > before * _CHANGE:
            self._raised_at = now
            self._lines.raised(self._network, self._viewer, now)
        elif after * _CHANGE < before:
            if self._raised_at is not None and now - self._raised_at < _PROOF_NS:
                self._failed = (self._raised_at, now)
            self._raised_at = None
            self._lines.full(self._network, self._viewer, now)

    def waits(self, now: int) -> bool:
        """Return whether a probe would only push others aside."""
        if self._raised_at is not None and now - self._raised_at >= _PROOF_NS:
            self._raised_at, self._wait = None, 0
        if self._failed is not None and now - self._failed[1] >= _TOGETHER_NS:
            raised_at, full_at = self._failed
            self._failed = None
            if self._lines.is_cause(self._network, self._viewer, raised_at, full_at):
                self._wait = min(max(2 * self._wait, _WAIT_NS), _LONGEST_WAIT_NS)
                self._until = full_at + self._wait
        return now < self._until
