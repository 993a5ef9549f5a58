"""Movement of pictures by the second: each moves or is reported as paused."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.network.behind_link import ViewerCall

MOVES = 10  # mean pictures per second


@dataclass(frozen=True, slots=True)
class Sample:
    """Observations of a track: its reported state, the number of reports, and the pictures received."""

    paused: bool
    told: int
    frames: int
    width: int


async def follow(call: ViewerCall, tracks: Iterable[str], seconds: int) -> dict[str, list[Sample]]:
    """Sample each of these tracks once a second, while `call` records estimate and queue."""
    samples: dict[str, list[Sample]] = {track: [] for track in tracks}
    for number in range(seconds + 1):
        received, states = await asyncio.gather(call.bob.evaluate("received()"), call.states())
        for track, list_of in samples.items():
            told = [state["paused"] for state in states if state["track"] == track]
            row = received.get(track, {})
            list_of.append(
                Sample(bool(told) and told[-1], len(told), int(row.get("frames", 0)), int(row.get("width", 0)))
            )
        if number < seconds:
            await call.watch(1)
    return samples


def shown_seconds(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """Pictures and width of each second that began and ended unpaused; those after a change may await a keyframe."""
    told = [samples[0].told, *(sample.told for sample in samples)]
    return [
        (after.frames - before.frames, after.width)
        for (before, after), earlier in zip(pairwise(samples), told, strict=False)
        if not before.paused and not after.paused and earlier == after.told
    ]


def stands_still(samples: Sequence[Sample], moves: int = MOVES) -> bool:
    """Return whether it froze for a second, or showed fewer than `moves` per second, without a report."""
    shown = [pictures for pictures, _ in shown_seconds(samples)]
    return bool(shown) and (min(shown) == 0 or sum(shown) < moves * len(shown))
