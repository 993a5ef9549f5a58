"""Bar: viewers in one house share its line, and none pushes the others aside all the time."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.network.bar_shared import queue_of
from tests.network.behind_link import down, most_hold, once
from tests.network.behind_link_ours import far_calls

SETTLING, SECONDS = 15, 45


async def _in_one_house(tmp_path: Path, seed: int, viewers: int, megabits: int, milliseconds: int) -> bool:
    names = [f"bob{number}" for number in range(viewers)]
    async with far_calls(tmp_path, down(**queue_of(megabits, milliseconds)), seed, names) as calls:
        await asyncio.sleep(SETTLING)
        began = time.monotonic()
        while (ended := time.monotonic()) < began + SECONDS:
            for call in calls:
                call.layers += call.carried
            await asyncio.sleep(0.1)
    changes = [sum(before != after for before, after in pairwise(call.layers)) for call in calls]
    fps = [call.between(began, ended, "pictures") for call in calls]
    used = sum(call.between(began, ended, "bytes") for call in calls) * 8 / (megabits * 1e6)
    holds = min(fps) >= 28 and used >= 0.55 and sum(changes) <= 12 * viewers
    print(
        f"{viewers} viewers, {megabits} Mbps, {milliseconds} ms, seed {seed}: {min(fps):.1f} fps at least, "
        f"{used:.0%} of the line used, changes of layers {changes}: {'holds' if holds else 'missed'}"
    )
    for call in calls:
        print(call.layers[::5])
    return holds


@once
@pytest.mark.parametrize(("viewers", "megabits", "milliseconds"), [(2, 4, 300), (3, 4, 100), (5, 10, 300)])
async def test_viewers_in_one_house(
    tmp_path: Path, viewers: int, megabits: int, milliseconds: int, seeds: range
) -> None:
    assert await most_hold(lambda seed: _in_one_house(tmp_path, seed, viewers, megabits, milliseconds), seeds)
