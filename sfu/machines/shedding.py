"""Shedding: the work that an overloaded node leaves out, in a fixed order, audio last; and its return.

Steps, from the first to the last:

* reports: statistics, feedback and reports are sent less often, and unwatched layers are not read at all;
* small pictures: in more and more rooms, the largest first, cameras are sent as small pictures only;
* sound only: in more and more rooms, the largest first, cameras are paused;
* screens: shared screens are paused too.

A node is overloaded if everything that it reads has waited throughout a window of time (a standing queue, as in CoDel,
not one left by a pause), if its policy makes things wait for long, or if its sockets overflow. If only policy is late,
pictures stay, since pausing and resuming them is work for policy. The node takes a step back when none of this applies
and it has time to spare. A step back that proves too large is tried again later.

A step takes effect only some time later. Until then no other step is taken in either direction: otherwise each overload
would end without any pictures, and each recovery with a new overload. Meanwhile the engine drops video that waits too
long, by whole streams (`Drop.STALE`).
"""

from dataclasses import dataclass

WINDOW_NS = 100_000_000
_STANDING_NS = 20_000_000
_BEHIND_NS = 300_000_000
_PATIENCE = 2  # consecutive windows before the first step
_EFFECT_NS = 300_000_000  # until a step takes effect: policy applies it room by room, and then the backlog drains
_SPARE = ((0.5, 4), (0.7, 2), (0.85, 1))  # the largest share of time in use that allows this many steps back
_SMALL_STEPS = 5
_SOUND_STEPS = 10
_FIRST_WAIT_NS = 3 * WINDOW_NS
_LONGEST_WAIT_NS = 1_600_000_000
_PROVEN_NS = 1_000_000_000

_REPORTS = 1
_FIRST_SMALL = 2
_FIRST_SOUND = _FIRST_SMALL + _SMALL_STEPS
LAST_STEP = _FIRST_SOUND + _SOUND_STEPS


@dataclass(frozen=True, slots=True)
class Shed:
    """The work left out. `small` and `sound_only` are shares of the participants, beginning with the largest rooms."""

    sparing: bool = False
    small: float = 0.0
    sound_only: float = 0.0
    screens: bool = False


NOTHING = Shed()


@dataclass(frozen=True, slots=True)
class Measured:
    """A window of time: the shortest wait of anything read (ns), the wait for policy (ns), packets lost by sockets and
    full backlogs, and the share of the time in use.
    """

    waited: int
    behind: int
    lost: int
    busy: float

    @property
    def is_short(self) -> bool:
        """True if there was too little time."""
        return self.is_media_late or self.behind > _BEHIND_NS

    @property
    def is_media_late(self) -> bool:
        """True if packets had to wait, or were lost."""
        return self.waited > _STANDING_NS or self.lost > 0

    def is_easier_than(self, before: "Measured") -> bool:
        """Return True if the backlog has been shrinking."""
        return not self.lost and self.waited <= before.waited and self.behind <= before.behind


class Shedding:
    """The shedding of one node; call `update` once per window."""

    def __init__(self) -> None:
        self.step = 0
        self._before = Measured(0, 0, 0, 0.0)
        self._short_windows = 0
        self._took_back_at = self._left_out_at = -2 * _PROVEN_NS
        self._wait = _FIRST_WAIT_NS

    @property
    def shed(self) -> Shed:
        """The work to leave out now."""
        if self.step == 0:
            return NOTHING
        return Shed(
            sparing=True,
            small=_share(self.step - _FIRST_SMALL + 1, _SMALL_STEPS),
            sound_only=_share(self.step - _FIRST_SOUND + 1, _SOUND_STEPS),
            screens=self.step == LAST_STEP,
        )

    def update(self, measured: Measured, now: int) -> bool:
        """Take a window; return whether `shed` changed."""
        before = self.step
        if measured.is_short:
            self._short_windows += 1
            is_enough = self.step > 0 and measured.is_easier_than(self._before)
            is_enough = is_enough or (self.step >= _REPORTS and not measured.is_media_late)
            is_time = now - self._left_out_at >= _EFFECT_NS
            if (self._short_windows >= _PATIENCE or self.step) and is_time and not is_enough:
                self._leave_out(now)
        else:
            self._short_windows = 0
            self._take_back(measured, now)
        self._before = measured
        return self.step != before

    def _leave_out(self, now: int) -> None:
        self._left_out_at = now
        if now - self._took_back_at < _PROVEN_NS:
            self._wait = min(2 * self._wait, _LONGEST_WAIT_NS)
            self._took_back_at = now
        self.step = min(self.step + 1, LAST_STEP)

    def _take_back(self, measured: Measured, now: int) -> None:
        if now - self._left_out_at >= 2 * _PROVEN_NS:
            self._wait = _FIRST_WAIT_NS
        steps = next((steps for busy, steps in _SPARE if measured.busy < busy), 0)
        if self.step and steps and now - max(self._took_back_at, self._left_out_at) >= self._wait:
            self.step = max(0, self.step - steps)
            self._took_back_at = now


def _share(step: int, steps: int) -> float:
    return max(0, min(step, steps)) / steps
