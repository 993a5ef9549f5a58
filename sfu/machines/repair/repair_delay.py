"""Delay with which pictures should be shown, so that their retransmissions come in time.

A browser that is connected to another directly waits for retransmissions by itself: libwebrtc's jitter buffer grows by
a round trip once three pictures have needed one (VideoStreamBufferController, RttMultExperiment). Behind a server it
does not. The publisher's round trip is hidden from it, and its own is unknown to it: it learns that from reports about
what it sends itself, and a connection that only receives has none. Each retransmission then comes too late, and the
picture stutters. So we measure both: the publisher's for its viewers, and each viewer's for that viewer.
"""

from collections import deque

_REPAIRS = 3
_MEMORY_NS = 60_000_000_000
_MARGIN_NS = 50_000_000  # a loss is seen when the next packet comes, which may be a picture later
_USUAL_NS = 50_000_000  # of a round trip without a queue
_SHORTEST_NS = 50_000_000  # jitter buffers bridge shorter round trips anyway
_LONGEST_NS = 700_000_000  # a longer delay would harm a conversation more than a stutter
_STEADY_NS = 100_000_000
_STEP_NS, _STEPS_EVERY_NS = 20_000_000, 200_000_000  # 100 ms a second, as libwebrtc's own delay changes


class RepairDelay:
    """The delay for the pictures of one publisher, or of one viewer, in ns.

    It moves in small steps, since receivers apply it at once: they would stand still for as long as it rises, and skip
    as much as it falls. It falls only if it has become far too long.
    """

    def __init__(self) -> None:
        self._delay = self._aim = 0
        self._moved_at = 0
        self._repaired: deque[int] = deque(maxlen=_REPAIRS)

    def timer(self) -> int | None:
        """Return when the next step is due, None if there is none."""
        return self._moved_at + _STEPS_EVERY_NS if self._delay != self._aim else None

    def repaired(self, now: int) -> None:
        """Note that a packet of a picture was lost, and is sent again or came again."""
        self._repaired.append(now)

    def update(self, round_trip: int, now: int, *, queue: int = 0) -> int:
        """Return the delay, 0 for none.

        `round_trip` is the time from a NACK to the retransmission, in ns. `queue` is the time that packets wait on a
        publisher's uplink because others fill it; 0 if they do not.
        """
        is_lossy = len(self._repaired) == _REPAIRS and now - self._repaired[0] < _MEMORY_NS
        wait = max(round_trip if is_lossy else 0, queue + _USUAL_NS if queue else 0)
        shortest, longest = _SHORTEST_NS, _LONGEST_NS
        if self._aim:  # it neither begins nor ends at each small change
            shortest, longest = shortest // 2, longest + _STEADY_NS
        wanted = wait + _MARGIN_NS if shortest <= wait <= longest else 0
        if not self._aim - _STEADY_NS <= wanted <= self._aim or not wanted:
            self._aim = wanted
        if self._delay != self._aim and now - self._moved_at >= _STEPS_EVERY_NS:
            self._moved_at = now
            self._delay += min(max(self._aim - self._delay, -_STEP_NS), _STEP_NS)
        return self._delay
