"""A long run of joins, leaves and switches: memory and descriptors of the sfu must not grow.

Rooms fill and empty continuously: participants join, publish, unpublish by leaving, change the tracks of their slots,
and leave or drop their connections. Every two minutes, once the sfu has removed the dropped ones, its resources are
sampled. The slope is that of a line fitted to the samples after the first quarter, since pools fill first. `--minutes`
sets the duration (60 by default, half a minute if quick).
"""

import asyncio
import random
import time
from dataclasses import dataclass

import numpy as np

from bench.light.joining import Participant
from bench.light.stage import Stage, stage
from bench.report import Report, end_progress, show_progress
from sfu.formats.codecs import Codec

MINUTES = 60.0
QUICK_MINUTES = 0.5
ROOMS = 4
SIZE = 8
MAX_GROWTH_MIB = 4.0
MAX_DESCRIPTORS = 4.0
"""Maximum growth along the line: less than the effect of one round."""
MIN_SECONDS = 900.0
"""Shorter runs have no bars, and sample the sfu after each round, when dropped participants may remain."""
LOOK_SECONDS = 120.0
ROUND_SECONDS = 2.0
"""Minimum duration of a round: with faster rounds, more dropped participants remain and use memory."""
_GONE_SECONDS = 60.0
"""The sfu keeps dropped participants for 15 s."""
_PUBLISHERS = 2
_ACT_SECONDS = 1.0
_SETTLING_TRIES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """Resources of the sfu at a time, in seconds since the start."""

    at: float
    resident: int
    descriptors: int


def run(*, quick: bool, minutes: float | None = None) -> Report:
    """Run for the given number of minutes."""
    length = minutes if minutes is not None else QUICK_MINUTES if quick else MINUTES
    return asyncio.run(_measure(length * 60))


async def _measure(seconds: float) -> Report:
    dice = random.Random(1)
    samples: list[Sample] = []
    joins = rounds = 0
    began = looked_at = time.monotonic()
    counts = seconds >= MIN_SECONDS
    async with stage() as here:
        while (elapsed := time.monotonic() - began) < seconds:
            show_progress("soak", elapsed / seconds)
            rounds += 1
            pause = asyncio.create_task(asyncio.sleep(ROUND_SECONDS))
            joins += await _round(here, dice, f"soak-{rounds}")
            await pause
            if counts and time.monotonic() - looked_at < LOOK_SECONDS:
                continue
            if counts:
                await _everybody_gone(here)
            descriptors = await _settled_descriptors(here)
            looked_at = time.monotonic()
            samples.append(Sample(looked_at - began, here.sfu.resident_bytes(), descriptors))
        show_progress("soak", 1.0)
    end_progress()
    return _report(seconds, joins, samples)


def _report(seconds: float, joins: int, samples: list[Sample]) -> Report:
    report = Report()
    settled = samples[len(samples) // 4 :]
    times = [one.at for one in settled]
    span = times[-1] - times[0]
    memory = _slope(times, [one.resident / 2**20 for one in settled])
    opened = _slope(times, [one.descriptors for one in settled])
    case = f"{seconds / 60:g} minutes"
    report.add(case, "joins and leaves", joins, "")
    report.add(case, "memory at the end", settled[-1].resident / 2**20, "MiB")
    report.add(case, "memory, slope", memory * 3600, "MiB/h")
    for metric, growth, unit, bar in (
        ("memory, growth", memory * span, "MiB", MAX_GROWTH_MIB),
        ("descriptors, growth", opened * span, "", MAX_DESCRIPTORS),
    ):
        if seconds >= MIN_SECONDS:
            report.at_most(case, metric, growth, unit, bar)
        else:
            report.add(case, metric, growth, unit)
    return report


async def _everybody_gone(here: Stage) -> None:
    """Wait until dropped participants are removed, because their number depends on the pace, and memory on them."""
    deadline = time.monotonic() + _GONE_SECONDS
    while (await asyncio.to_thread(here.sfu.metrics))["parley_sfu_participants"] > 0:
        if time.monotonic() > deadline:
            raise SystemExit("bench soak: participants who left are still there")
        await asyncio.sleep(0.5)


def _slope(times: list[float], values: list[float]) -> float:
    """Return the slope of the line through the samples, per second."""
    if len(times) < 3:
        raise SystemExit("bench soak: too short for a line; use more --minutes")
    return float(np.polyfit(times, values, 1)[0])


async def _settled_descriptors(here: Stage) -> int:
    """Wait for the sockets of former participants, which close one after another."""
    before = here.sfu.descriptors()
    for _ in range(_SETTLING_TRIES):
        await asyncio.sleep(0.1)
        now = here.sfu.descriptors()
        if now >= before:
            break
        before = now
    return before


async def _round(here: Stage, dice: random.Random, name: str) -> int:
    """Fill some rooms, let people talk and switch, and empty the rooms; return the number of joins."""
    rooms = [f"{name}-{k}" for k in range(ROOMS)]
    there = [Participant(here.client, here.sfu, room) for room in rooms for _ in range(SIZE)]
    try:
        await asyncio.gather(*(_attend(here, dice, one, number) for number, one in enumerate(there)))
        if here.tracks:
            talking = asyncio.create_task(here.perform(_ACT_SECONDS))
            await asyncio.gather(*(_switch(dice, one) for one in there))
            await talking
    finally:
        here.tracks.clear()
        await asyncio.gather(*(one.leave() if dice.random() < 0.7 else one.abandon() for one in there))
    return len(there)


async def _attend(here: Stage, dice: random.Random, one: Participant, number: int) -> None:
    publishes = number % SIZE < _PUBLISHERS
    await asyncio.sleep(dice.uniform(0, 0.3))
    await one.join(publishes=publishes)
    if publishes:
        codecs = (Codec.OPUS, Codec.VP8)
        here.add_tracks(await one.publish(*codecs), *codecs)


async def _switch(dice: random.Random, one: Participant) -> None:
    """Turn a video off and on again, so that slots change their tracks."""
    await asyncio.sleep(dice.uniform(0, 0.3))
    for track in one.tracks:
        await one.want(track, on=False)
    await asyncio.sleep(dice.uniform(0.1, 0.3))
    for track in one.tracks:
        await one.want(track, on=True)
