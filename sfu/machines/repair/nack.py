"""Choice of the packets of an incoming stream to request again (RFC 4585, section 6.2.1)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

_BACK_OFF = 1.25
_MAX_GIVEN_UP = 1024
_MAX_ASKED = 250  # at most 1000 bytes of NACK, if no two packets share a bit mask


class GiveUp(IntEnum):
    """The reason why a missing packet is no longer requested."""

    TRIES = 0  # requested `max_tries` times
    AGE = 1  # missing for longer than `max_age`
    OVERFLOW = 2  # too many missing packets
    KEYFRAME = 3  # a keyframe made it useless
    OURS = 4  # it reached us, and we dropped it for lack of time
    THIN = 5  # the publisher's uplink has no room for repairs


class GivenUp(NamedTuple):
    """A number of `packets` from `ext_seq` on."""

    ext_seq: int
    reason: GiveUp
    packets: int = 1


@dataclass(slots=True)
class _Missing:
    since: int
    next_try: int
    asked: int = 0
    tries: int = 0


class NackGenerator:
    """Takes every packet of one stream (repairs and padding too), and decides what to request and when.

    A gap is requested at once, then again after max(`min_interval`, 1.2 round trips), a quarter longer with each try,
    at most `max_tries` times. At most `max_missing` packets are tracked. With `skip_at_keyframe`, packets before a
    keyframe are given up when it begins; otherwise they are still wanted, since a recorder keeps every frame. Packets
    that we dropped ourselves are never requested, since they would add to the overload.
    """

    def __init__(
        self,
        *,
        max_tries: int = 10,
        max_age: int = 1_500_000_000,
        max_missing: int = 512,
        min_interval: int = 20_000_000,
        skip_at_keyframe: bool = False,
    ) -> None:
        self._max_tries = max_tries
        self._max_age = max_age
        self._max_missing = max_missing
        self._min_interval = min_interval
        self._skip_at_keyframe = skip_at_keyframe
        self._highest: int | None = None
        self._missing: dict[int, _Missing] = {}  # ascending
        self._next_due: int | None = None  # not later than any next try; checking too early costs nothing
        self._given_up: list[GivenUp] = []

    def received(
        self, ext_seq: int, now: int, keyframe: bool = False, repaired: bool = False, *, ours: bool = False
    ) -> int | None:
        """Take a packet; `keyframe` if it begins one, `repaired` if it came as RTX.

        `ours`: we dropped the missing packets right before it.

        Returns a sample of the round trip (ns) if it repairs a packet that was requested once, else None.
        """
        if self._highest is None:
            self._highest = ext_seq
            return None
        sample = None
        if ext_seq > self._highest:
            self.missed(self._highest + 1, ext_seq, now, ours=ours)
            self._highest = ext_seq
        else:
            sample = self.came(ext_seq, now, repaired=repaired)
        if keyframe and self._skip_at_keyframe:
            for old in [seq for seq in self._missing if seq < ext_seq]:
                del self._missing[old]
                self._give_up(old, GiveUp.KEYFRAME)
        return sample

    def missed(self, first: int, end: int, now: int, *, ours: bool = False) -> None:
        """Note that packets from `first` up to, but not including, `end` did not arrive; `ours`: we dropped them."""
        if not ours:
            self._add_gap(first, end, now)
        elif first < end:
            self._give_up(first, GiveUp.OURS, end - first)

    def came(self, ext_seq: int, now: int, *, repaired: bool = False) -> int | None:
        """Take a late or repeated packet; `received` does this itself if it gets every packet."""
        missing = self._missing.pop(ext_seq, None)
        return now - missing.asked if missing is not None and repaired and missing.tries == 1 else None

    def _add_gap(self, first: int, end: int, now: int) -> None:
        if end - first > self._max_missing:
            self._give_up(first, GiveUp.OVERFLOW, end - self._max_missing - first)
            first = end - self._max_missing
        for seq in range(first, end):
            self._missing[seq] = _Missing(now, now)
        if first < end:
            self._next_due = now if self._next_due is None else min(self._next_due, now)
        while len(self._missing) > self._max_missing:
            oldest = next(iter(self._missing))
            del self._missing[oldest]
            self._give_up(oldest, GiveUp.OVERFLOW)

    def due(self, now: int, round_trip: int, most: int = _MAX_ASKED) -> list[int]:
        """Return the ext_seqs to request now, ascending, and count the try. `round_trip` is in ns.

        There are at most 250, so that a NACK fits into a datagram; if there are more, `timer` is due at once. If only
        `most` may be requested, the others wait a while.
        """
        asked: list[int] = []
        if self._next_due is None or now < self._next_due:
            return asked
        for seq, missing in list(self._missing.items()):
            if now < missing.next_try:
                continue
            if now - missing.since >= self._max_age or missing.tries >= self._max_tries:
                del self._missing[seq]
                self._give_up(seq, GiveUp.TRIES if missing.tries >= self._max_tries else GiveUp.AGE)
                continue
            if len(asked) == min(most, _MAX_ASKED):
                break  # those that follow are younger
            wait = max(self._min_interval, round_trip * 6 // 5)
            missing.asked = now
            missing.next_try = now + int(wait * _BACK_OFF**missing.tries)
            missing.tries += 1
            asked.append(seq)
        self._next_due = min((missing.next_try for missing in self._missing.values()), default=None)
        if self._next_due is not None and len(asked) == most < _MAX_ASKED:
            self._next_due = max(self._next_due, now + self._min_interval)
        return asked

    def give_up_all(self, reason: GiveUp) -> None:
        """Give up all missing packets."""
        for seq in self._missing:
            self._give_up(seq, reason)
        self._missing.clear()
        self._next_due = None

    def timer(self) -> int | None:
        """Return when `due` may have work next, or None. The missing packets may arrive before that."""
        return self._next_due if self._missing else None

    def given_up(self) -> list[GivenUp]:
        """Return and remove what was given up since the last call. A loss of video needs a keyframe, unless it is a
        KEYFRAME loss.

        At most the newest 1024 ranges are kept between calls.
        """
        given_up, self._given_up = self._given_up, []
        return given_up

    @property
    def missing(self) -> int:
        """The number of packets missing now."""
        return len(self._missing)

    def _give_up(self, ext_seq: int, reason: GiveUp, packets: int = 1) -> None:
        if self._given_up:
            last = self._given_up[-1]
            if last.reason is reason and last.ext_seq + last.packets == ext_seq:
                self._given_up[-1] = last._replace(packets=last.packets + packets)
                return
        self._given_up.append(GivenUp(ext_seq, reason, packets))
        del self._given_up[:-_MAX_GIVEN_UP]
