"""A TCP download in simulated time, for shared queues: CUBIC (RFC 9438), or BBR's model of the link.

It always has data. A loss is detected by three later acknowledgements. Like Linux's, CUBIC leaves slow start when round
trips grow (HyStart), so its queue takes some seconds to build up. Times are in ns.
"""

from collections import deque
from dataclasses import dataclass, field

SIZE = 1448 + 52
_SECOND = 1_000_000_000
_BETA, _C = 0.7, 0.4
_START_WINDOW = 10.0
_REORDERING = 3
_LEAST_HYSTART, _HYSTART_NS = 16, (4_000_000, 16_000_000)
_TIMEOUT_NS = 600_000_000
_CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_MIN_ROUND_TRIP_NS = 10 * _SECOND
_PROBE_ROUND_TRIP_NS = 200_000_000
_STARTUP_GAIN = 2.885


@dataclass
class TcpFlow:
    """TCP flow. Call `due` for the numbers of packets to send now, and `acknowledged` for each arrival, in order."""

    model_based: bool = False
    delivered: int = 0
    _next: int = 0
    _flying: dict[int, tuple[int, int]] = field(default_factory=dict)  # by number: sent at, delivered then
    _newest_at: int = 0
    _window: float = _START_WINDOW
    _threshold: float = float("inf")
    _largest: float = 0.0
    _epoch: int | None = None
    _recovered_from: int = -1
    _round_trip: float = 0.05 * _SECOND
    # of the model
    _rates: deque[tuple[int, float]] = field(default_factory=deque)
    _shortest: float = float("inf")
    _shortest_at: int = 0
    _draining_until: int = 0
    _is_starting: bool = True
    _best_before: float = 0.0
    _rounds_alike: int = 0
    _round_end: int = 0
    _paced_until: float = 0.0
    _phase: int = 0
    _phase_at: int = 0

    def due(self, now: int) -> list[int]:
        """Return the numbers of the packets to send now."""
        if self._flying and now - self._newest_at > _TIMEOUT_NS:
            self._flying.clear()
            self._window = 1.0
            self._newest_at = now
        numbers = []
        window = self._model_window(now) if self.model_based else self._window
        while len(self._flying) < window and (not self.model_based or self._paced_until <= now):
            if self.model_based:
                pace = max(self._bandwidth * self._gain(now), 8.0 * SIZE * 10)
                self._paced_until = max(self._paced_until, now - 2_000_000) + SIZE * 8 * _SECOND / pace
            if not self._flying:
                self._newest_at = now
            self._flying[self._next] = (now, self.delivered)
            numbers.append(self._next)
            self._next += 1
        return numbers

    def acknowledged(self, number: int, now: int) -> None:
        """Process an acknowledgement that arrives now."""
        sent, delivered_then = self._flying.pop(number, (None, 0))
        self._newest_at = now
        if sent is None:
            return
        self.delivered += 1
        took = now - sent
        self._round_trip += (took - self._round_trip) / 8
        if self.model_based:
            self._model(took, (self.delivered - delivered_then) * SIZE * 8 * _SECOND / max(took, 1), number, now)
        else:
            self._grow(took, now)
        lost = [other for other in self._flying if other <= number - _REORDERING]
        for other in lost:
            del self._flying[other]
        if lost and max(lost) > self._recovered_from and not self.model_based:
            self._recovered_from = self._next
            self._largest = self._window
            self._window = self._threshold = max(self._window * _BETA, 2.0)
            self._epoch = None

    def _grow(self, took: int, now: int) -> None:
        self._shortest = min(self._shortest, took)
        if self._window < self._threshold:
            self._window += 1
            if self._window >= _LEAST_HYSTART and took > self._shortest + min(
                max(self._shortest / 8, _HYSTART_NS[0]), _HYSTART_NS[1]
            ):
                self._threshold = self._window
            return
        if self._epoch is None:
            self._epoch = now
            self._largest = max(self._largest, self._window)
        reach = ((self._largest * (1 - _BETA)) / _C) ** (1 / 3)
        elapsed = (now - self._epoch) / _SECOND
        target = _C * (elapsed + self._round_trip / _SECOND - reach) ** 3 + self._largest
        friendly = self._largest * _BETA + 0.53 * elapsed * _SECOND / self._round_trip
        goal = min(max(target, friendly), 1.5 * self._window)
        self._window += max((goal - self._window) / self._window, 0.01 / self._window)

    @property
    def _bandwidth(self) -> float:
        return max((rate for _, rate in self._rates), default=_START_WINDOW * SIZE * 8 / 0.05)

    def _model(self, took: int, rate: float, number: int, now: int) -> None:
        if took <= self._shortest:
            self._shortest, self._shortest_at = took, now
        elif now - self._shortest_at > _MIN_ROUND_TRIP_NS:
            self._draining_until = now + _PROBE_ROUND_TRIP_NS
            self._shortest, self._shortest_at = float("inf"), now
        self._rates.append((now, rate))
        while now - self._rates[0][0] > 10 * self._round_trip:
            self._rates.popleft()
        if self._is_starting and number >= self._round_end:
            self._round_end = self._next
            grew = self._bandwidth > self._best_before * 1.25
            self._rounds_alike = 0 if grew else self._rounds_alike + 1
            self._best_before = max(self._best_before, self._bandwidth)
            self._is_starting = self._rounds_alike < 3

    def _gain(self, now: int) -> float:
        if self._is_starting:
            return _STARTUP_GAIN
        if now - self._phase_at > min(self._shortest, self._round_trip):
            self._phase_at = now
            self._phase = (self._phase + 1) % len(_CYCLE)
        return _CYCLE[self._phase]

    def _model_window(self, now: int) -> float:
        if now < self._draining_until:
            return 4.0
        shortest = min(self._shortest, self._round_trip)
        return max(2.0 * self._bandwidth * shortest / (8 * SIZE * _SECOND), 4.0)
