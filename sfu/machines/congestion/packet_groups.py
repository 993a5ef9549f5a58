"""Groups of packets sent together, and the change of the gaps between groups on the way.

After libwebrtc's InterArrivalDelta: packets sent within 5 ms form a group, and so do those that a link delivered in a
burst.
"""

from typing import NamedTuple

_GROUP_NS = 5_000_000
_BURST_DELTA_NS = 5_000_000
_MAX_BURST_NS = 100_000_000
_CLOCK_JUMP_NS = 3_000_000_000
_MAX_REORDERED = 3


class GroupDelta(NamedTuple):
    """Two complete groups compared: the differences of sending and arrival times in ns, and of bytes."""

    sending: int
    arrival: int
    size: int


class _Group:
    __slots__ = ("arrived", "first_arrived", "first_sent", "sent", "size", "system")

    def __init__(self, sent: int, arrival: int, system: int) -> None:
        self.first_sent = self.sent = sent
        self.first_arrived = self.arrived = arrival
        self.system = system
        self.size = 0


class PacketGroups:
    """Groups, fed with packets in order of arrival."""

    def __init__(self) -> None:
        self._current: _Group | None = None
        self._previous: _Group | None = None
        self._reordered = 0

    @property
    def size(self) -> int:
        """Bytes of the group under way."""
        return self._current.size if self._current is not None else 0

    def received(self, sent: int, arrival: int, size: int, now: int) -> GroupDelta | None:
        """Take a packet; return a delta if it begins a group after two complete ones."""
        current = self._current
        if current is None:
            self._begin(sent, arrival, size, now)
            return None
        if sent < current.first_sent:
            return None
        if not self._is_new(current, sent, arrival):
            self._extend(current, sent, arrival, size, now)
            return None
        delta = None
        if self._previous is not None:
            delta = self._between(self._previous, current)
            if delta is None:
                return None
        self._previous = current
        self._begin(sent, arrival, size, now)
        return delta

    def _begin(self, sent: int, arrival: int, size: int, now: int) -> None:
        self._current = _Group(sent, arrival, now)
        self._current.size = size

    def _extend(self, group: _Group, sent: int, arrival: int, size: int, now: int) -> None:
        group.sent = max(group.sent, sent)
        group.arrived = max(group.arrived, arrival)
        group.size += size
        group.system = now

    def _between(self, previous: _Group, current: _Group) -> GroupDelta | None:
        sending = current.sent - previous.sent
        arrival = current.arrived - previous.arrived
        if arrival - (current.system - previous.system) >= _CLOCK_JUMP_NS:
            self._reset()
            return None
        if arrival < 0:
            self._reordered += 1
            if self._reordered >= _MAX_REORDERED:
                self._reset()
            return None
        self._reordered = 0
        return GroupDelta(sending, arrival, current.size - previous.size)

    def _reset(self) -> None:
        self._current = self._previous = None
        self._reordered = 0

    def _is_new(self, group: _Group, sent: int, arrival: int) -> bool:
        between_arrivals = arrival - group.arrived
        propagation = between_arrivals - (sent - group.sent)
        if (
            propagation < 0
            and 0 <= between_arrivals <= _BURST_DELTA_NS
            and arrival - group.first_arrived < _MAX_BURST_NS
            and sent != group.sent
        ):
            return False
        return sent - group.first_sent > _GROUP_NS
