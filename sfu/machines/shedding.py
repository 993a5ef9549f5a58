"""Shedding: the work that an overloaded node leaves out, in a fixed order, audio last; and its return.

Steps, from the first to the last:

* silence, and unread layers: sound of microphones into which nobody speaks is not forwarded, since single packets of
  sound are most of the work in many small rooms; in more and more rooms, the largest first, layers that nobody watches
  are not read at all; statistics, feedback and reports are sent less often;
* slow tiles: in more and more rooms, the largest first, small pictures of all but the last speaker are sent with their
  lowest temporal layer alone, a quarter of the frames that Chromium sends in VP8. Nothing is paused, and no keyframe is
  needed in either direction. Streams without temporal layers stay as they are;
* speakers only: in more and more rooms, the largest first, all cameras are paused but that of the last speaker;
* small pictures: in more and more rooms, the largest first, cameras are sent as small pictures only;
* sound only: in more and more rooms, the largest first, cameras are paused;
* screens: shared screens are paused too.

A node is overloaded if, for three windows of time in a row, everything that it reads has waited (a standing queue, as
in CoDel, not one left by a pause, which drains), its policy is late, or more than 2 % of the packets are lost in its
sockets and backlogs. Fewer are not enough: another program may have had the processor for a moment. If only policy is
late, video stays, since pausing and resuming it is work for policy; and video that was left out comes back, since
policy has its share of the time anyway, and would use all that video leaves. A process that was stopped for a moment
gets two seconds to catch up: what has waited meanwhile, and what the sockets lost, says nothing about the load.

Cameras of those who listen go before large pictures, since they cost much for what they show: a small picture is many
single packets, each with its own system call, and each camera costs reading, feedback and decisions. For the same
reason, tiles of large rooms become slow before anything is paused: a tile that moves a few times a second still shows
who is there. A large picture is runs of packets, which are sent together: making it small saves little.

If packets are in time, as many steps are taken back as fit the time to spare, by the cost of a step. If that was too
much, the steps are taken again, and the next attempt waits twice as long and is of one step, unless the load has
clearly fallen. A node without time to spare, all of whose packets are in time, tries one step now and then. If
policy is a second late, as when hundreds begin at once, it uses any time that is left: then two steps are tried after
one, then four.

The faster the queue grows, or the more is lost, the more steps are taken at once. Steps take effect after a delay.
During it no other step is taken in either direction: otherwise each overload would end without any video, and each
recovery with a new overload. Meanwhile the engine drops video that waits too long, by whole streams (`Drop.STALE`).
"""

from collections import deque
from dataclasses import dataclass

WINDOW_NS = 100_000_000
_STANDING_NS = 20_000_000
_BEHIND_NS, _FAR_BEHIND_NS = 300_000_000, 1_000_000_000
_LOST = 0.02  # the share of packets that may be lost
_FIRST_PATIENCE, _PATIENCE = 3, 2  # consecutive windows before the first step, and before a further one
_DRAINS = 0.8  # the share of the wait before, below which a queue drains by itself, as after a pause
_EFFECT_NS = 300_000_000  # until a step shows once policy has applied it room by room: the backlog drains
_LONGEST_PENDING_NS = 1_000_000_000  # the longest wait for that
_STEPS_FOR_ALL = 10  # steps at once if no packet was in time; fewer in proportion to the share of late packets
_MOST_STEPS = 5  # the most steps at once
_STOPPED_NS = 2_000_000_000  # after a moment in which the process did not run
_FULL = 0.9  # the share of time in use at which nothing more is taken back: a tenth is for keyframes and large frames
_STEP_COST, _CHEAP_STEP_COST = 0.06, 0.03  # the work that a step back adds, as a share of the work before
_AVERAGED, _LEAST_AVERAGED = 5, 3  # windows whose share of time in use is averaged
_LEAST_BUSY = 0.01
_MOST_BACK = 8  # the most steps back at once
_TRIED_AFTER = 4  # waits after which one step back is tried without time to spare
_UNREAD_STEPS = 4
_SLOW_STEPS = 4
_SPEAKER_STEPS = 10
_SMALL_STEPS = 5
_SOUND_STEPS = 10
_CLEARLY_FALLEN = 4  # if so many steps back fit, the load has fallen, and earlier failures tell nothing
_FIRST_WAIT_NS = 3 * WINDOW_NS
_LONGEST_WAIT_NS = 2_400_000_000
_PROVEN_NS = 1_000_000_000
_SILENCE_NS = 30_000_000_000
"""The time for which silent microphones rest after the last step: nobody misses them, and the time that they save would
look like time to spare for all that was left out before."""

_FIRST_UNREAD = 1
_FIRST_SLOW = _FIRST_UNREAD + _UNREAD_STEPS
_FIRST_SPEAKER = _FIRST_SLOW + _SLOW_STEPS
_FIRST_SMALL = _FIRST_SPEAKER + _SPEAKER_STEPS
_FIRST_SOUND = _FIRST_SMALL + _SMALL_STEPS
LAST_STEP = _FIRST_SOUND + _SOUND_STEPS


@dataclass(frozen=True, slots=True)
class Shed:
    """The work left out. `silence` is the sound of silent microphones. `unread`, `slow`, `speaker_only`, `small` and
    `sound_only` are shares of all participants, 0 to 1; the largest rooms come first, and in a room those who have not
    spoken. `sparing` makes statistics, feedback and reports rarer.
    """

    silence: bool = False
    sparing: bool = False
    unread: float = 0.0
    slow: float = 0.0
    speaker_only: float = 0.0
    small: float = 0.0
    sound_only: float = 0.0
    screens: bool = False


NOTHING = Shed()


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of a window: `waited`, the shortest wait of a packet (ns); `behind`, the wait for policy (ns);
    packets `lost` in sockets and backlogs; packets `read`; `busy`, the share in use of the time that the process could
    have had; `is_pending`, whether rooms wait for earlier steps to be applied; `was_stopped`, whether the process was
    not allowed to run for a while.
    """

    waited: int
    behind: int
    lost: int
    read: int
    busy: float
    is_pending: bool = False
    was_stopped: bool = False

    @property
    def is_short(self) -> bool:
        """True if there was too little time."""
        return self.is_media_late or self.behind > _BEHIND_NS

    @property
    def is_media_late(self) -> bool:
        """True if packets had to wait, or too many were lost."""
        return self.waited > _STANDING_NS or self.lost_share > _LOST

    @property
    def lost_share(self) -> float:
        """The share of packets that were lost."""
        return self.lost / (self.lost + self.read) if self.lost else 0.0

    def is_easier_than(self, before: "Measured") -> bool:
        """Return True if the backlog has been shrinking."""
        return self.lost_share <= _LOST and self.waited <= before.waited

    def drains(self, before: "Measured") -> bool:
        """Return True if the queue shrinks so fast that it will soon be gone."""
        return self.behind <= _BEHIND_NS and self.lost_share <= _LOST and self.waited <= _DRAINS * before.waited

    def growth(self, before: "Measured") -> float:
        """Return the share of the window by which the wait has grown, 0 to 1."""
        return min(1.0, max(0.0, (self.waited - before.waited) / WINDOW_NS))


class Shedding:
    """The shedding of one node; call `update` once per window."""

    def __init__(self) -> None:
        self.step = 0
        self._before = Measured(0, 0, 0, 0, 0.0)
        self._short_windows = self._late_windows = 0
        self._growth = 0.0
        self._back = 0
        """The number of steps taken back last, unless more was left out since."""
        self._busy: deque[float] = deque(maxlen=_AVERAGED)
        """The shares of time in use of the windows since the last change."""
        self._took_back_at = self._left_out_at = self._pending_at = self._stopped_at = -2 * _PROVEN_NS
        self._wait = _FIRST_WAIT_NS
        self._spares_silence = False
        self._spares_silence_until = 0

    @property
    def shed(self) -> Shed:
        """The work to leave out now."""
        if self.step == 0:
            return Shed(silence=self._spares_silence)
        return Shed(
            silence=True,
            sparing=True,
            unread=_share(self.step - _FIRST_UNREAD + 1, _UNREAD_STEPS),
            slow=_share(self.step - _FIRST_SLOW + 1, _SLOW_STEPS),
            speaker_only=_share(self.step - _FIRST_SPEAKER + 1, _SPEAKER_STEPS),
            small=_share(self.step - _FIRST_SMALL + 1, _SMALL_STEPS),
            sound_only=_share(self.step - _FIRST_SOUND + 1, _SOUND_STEPS),
            screens=self.step == LAST_STEP,
        )

    def update(self, measured: Measured, now: int) -> bool:
        """Take a window; return whether `shed` changed."""
        before = self.step
        if measured.was_stopped:
            self._stopped_at = now
        is_excused = now - self._stopped_at < _STOPPED_NS
        is_short, is_media_late = (not is_excused and is_bad for is_bad in (measured.is_short, measured.is_media_late))
        self._short_windows = self._short_windows + 1 if is_short else 0
        self._late_windows = self._late_windows + 1 if is_media_late else 0
        growth = measured.growth(self._before)
        if measured.is_pending and now - max(self._left_out_at, self._took_back_at) < _LONGEST_PENDING_NS:
            self._pending_at = now
        changed_at = max(self._left_out_at, self._took_back_at, self._pending_at)
        self._busy.append(measured.busy)
        if not (is_media_late if self.step >= _FIRST_SLOW else is_short):
            self._take_back(measured, now)
        elif now - changed_at >= _EFFECT_NS and not self._is_enough(measured):
            # The smaller value of two windows, since a pause affects only one.
            lost = min(measured.lost_share, self._before.lost_share)
            self._leave_out(max(lost, min(growth, self._growth)), now)
        self._before, self._growth = measured, growth
        return self._spare_silence(now) or self.step != before

    def _spare_silence(self, now: int) -> bool:
        """Let silent microphones rest, or no longer; return whether this changed."""
        if self.step:
            self._spares_silence_until = now + _SILENCE_NS
        before, self._spares_silence = self._spares_silence, now < self._spares_silence_until
        return self._spares_silence != before

    def _is_enough(self, measured: Measured) -> bool:
        """Return True if the steps taken suffice, or if it is too early to tell."""
        if self.step == 0:
            return self._short_windows < _FIRST_PATIENCE or measured.drains(self._before)
        return self._late_windows < _PATIENCE or measured.is_easier_than(self._before)

    def _leave_out(self, deficit: float, now: int) -> None:
        """Leave out more; `deficit` is the share of packets for which there was no time."""
        steps = min(_MOST_STEPS, 1 + int(_STEPS_FOR_ALL * deficit))
        if now - self._took_back_at < _PROVEN_NS:
            steps = self._back
            self._wait = min(2 * self._wait, _LONGEST_WAIT_NS)
            self._took_back_at = -2 * _PROVEN_NS  # only one step counts against the step back
        self._left_out_at = now
        self._back = 0
        self._busy.clear()
        self.step = min(self.step + steps, LAST_STEP)

    def _take_back(self, measured: Measured, now: int) -> None:
        if now - max(self._left_out_at, self._took_back_at) >= max(_PROVEN_NS, self._wait) and self._back:
            self._wait = _FIRST_WAIT_NS  # the last attempt held
        waited = now - max(self._took_back_at, self._left_out_at)
        back = self._fitting()
        if back < _CLEARLY_FALLEN and self._wait != _FIRST_WAIT_NS:
            back = 1 if back and waited >= self._wait else 0
        if back == 0 and waited >= _TRIED_AFTER * self._wait:
            back = min(max(1, 2 * self._back), _MOST_BACK) if measured.behind >= _FAR_BEHIND_NS else 1
        if self.step and back:
            self._back = back
            self.step = max(_FIRST_SLOW - 1 if measured.is_short else 0, self.step - self._back)
            self._took_back_at = now
            self._busy.clear()

    def _fitting(self) -> int:
        """Return the number of steps back for which there is time."""
        if len(self._busy) < _LEAST_AVERAGED:
            return 0
        to_spare = _FULL / max(sum(self._busy) / len(self._busy), _LEAST_BUSY) - 1
        back = 0
        for step in range(self.step, max(0, self.step - _MOST_BACK), -1):
            to_spare -= _STEP_COST if step >= _FIRST_SPEAKER else _CHEAP_STEP_COST
            if to_spare < 0:
                break
            back += 1
        return back


def _share(step: int, steps: int) -> float:
    return max(0, min(step, steps)) / steps
