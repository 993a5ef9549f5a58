"""The pause between two reads of the sockets under load.

A poll has a fixed cost and a cost for each datagram that it finds. Rare polls save the fixed cost, frequent ones save
waiting. Polls may take half of the idle time: an idle node polls several times in a millisecond, a busy one once. The
fixed cost is the intercept of a least-squares line through recent polls.
"""

MIN_NS = 100_000
MAX_NS = 1_000_000
_SHARE = 0.5
_WINDOW_NS = 100_000_000
_REMEMBERED = 0.995
_LEAST_COST_NS = 10_000.0
_FIRST_COST_NS = 30_000.0


class LookPause:
    """Gets the length of every step of the loop and decides the next pause. Times are ns."""

    def __init__(self) -> None:
        self._looks = self._datagrams = self._squares = self._durations = self._products = 0.0
        self._window_begun = 0
        self._spent = 0
        self._idle = 1.0
        self.pause = MIN_NS
        """The pause before the next poll."""

    def looked(self, datagrams: int, begun: int, ended: int) -> None:
        """Take a poll of the sockets, with the work that followed."""
        duration = float(ended - begun)
        if duration < MAX_NS:  # longer ones have other causes
            self._looks = self._looks * _REMEMBERED + 1
            self._datagrams = self._datagrams * _REMEMBERED + datagrams
            self._squares = self._squares * _REMEMBERED + datagrams * datagrams
            self._durations = self._durations * _REMEMBERED + duration
            self._products = self._products * _REMEMBERED + datagrams * duration
        self.spent(begun, ended)

    def spent(self, begun: int, ended: int) -> None:
        """Take the time of a step."""
        self._spent += ended - begun
        elapsed = ended - self._window_begun
        if elapsed >= _WINDOW_NS:
            self._idle = max(0.0, 1 - self._spent / elapsed)
            self._window_begun, self._spent = ended, 0
            wanted = self.cost / (_SHARE * self._idle) if self._idle else MAX_NS
            self.pause = max(MIN_NS, min(MAX_NS, int(wanted)))

    @property
    def busy(self) -> float:
        """The share of time that steps took recently, 0 to 1."""
        return 1 - self._idle

    @property
    def cost(self) -> float:
        """The cost of a read by itself."""
        spread = self._looks * self._squares - self._datagrams * self._datagrams
        if spread <= self._looks:  # all of them found the same
            return _FIRST_COST_NS
        per_datagram = (self._looks * self._products - self._datagrams * self._durations) / spread
        return max(_LEAST_COST_NS, (self._durations - per_datagram * self._datagrams) / self._looks)
