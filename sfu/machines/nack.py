"""Which packets of an incoming stream to ask for again (RFC 4585, section 6.2.1)."""

from enum import IntEnum
from typing import NamedTuple


class GiveUp(IntEnum):
    """Why a missing packet is not asked for any longer."""

    TRIES = 0  # asked `max_tries` times
    AGE = 1  # missing for longer than `max_age`
    OVERFLOW = 2  # more missing than the bound
    KEYFRAME = 3  # a keyframe made it useless


class GivenUp(NamedTuple):
    ext_seq: int
    reason: GiveUp


class NackGenerator:
    """Fed every packet of one stream (repairs and padding too), says what to ask for and when.

    A gap is asked for at once, then again each max(`min_interval`, 1.5 round trips, doubling per try), at most
    `max_tries` times. At most `max_missing` packets are tracked.
    """

    def __init__(
        self,
        *,
        max_tries: int = 8,
        max_age: int = 1_500_000_000,
        max_missing: int = 512,
        min_interval: int = 20_000_000,
    ) -> None:
        raise NotImplementedError

    def received(self, ext_seq: int, now: int, keyframe: bool = False) -> None:
        """Take a packet; `keyframe` when it begins one: older missing packets are given up."""
        raise NotImplementedError

    def due(self, now: int, round_trip: int) -> list[int]:
        """Return the ext_seqs to ask for now, ascending, and count the try. `round_trip` in ns."""
        raise NotImplementedError

    def timer(self) -> int | None:
        """When `due` has work next, or None."""
        raise NotImplementedError

    def given_up(self) -> list[GivenUp]:
        """Return and forget what was given up since the last call. A TRIES or AGE loss of video needs a keyframe."""
        raise NotImplementedError

    @property
    def missing(self) -> int:
        """Number of packets missing now."""
        raise NotImplementedError
