"""Joins per second, and time to a newcomer's first packet.

A join consists of signaling (token verification, room-info, offer, answer), ICE, DTLS and the keys in the engine;
newcomers join rooms of ten. The rate is per second of the sfu's CPU time, including the kernel, to exclude the clients,
whose handshakes run in Python. The rate by the clock is shown beside it. The time to the first packet is that of a
newcomer to a room where somebody talks, from its first connect to the first packet that C authenticates.
"""

import asyncio
import statistics
import time

from bench.light.joining import Participant, join_all
from bench.light.stage import Stage, stage
from bench.report import Report, progress
from sfu.formats.codecs import Codec

ROOM = 10
AT_ONCE = 16
SPOKEN_SECONDS = 2.0


def run(*, quick: bool) -> Report:
    """Measure the median of 5 rounds (3 if quick)."""
    return asyncio.run(_measure(3 if quick else 5, 100 if quick else 300))


async def _measure(rounds: int, joins: int) -> Report:
    report = Report()
    per_cpu, by_clock, first_packet = [], [], []
    async with stage() as here:
        for number in progress(range(rounds), "joins"):
            rooms = [f"room-{number}-{k}" for k in range(joins // ROOM)]
            cpu, began = here.sfu.cpu_seconds(), time.monotonic()
            joined = await _join_rooms(here, rooms)
            per_cpu.append(joins / (here.sfu.cpu_seconds() - cpu))
            by_clock.append(joins / (time.monotonic() - began))
            here.participants += joined
            first_packet += await _first_packets(here, f"talk-{number}")
    report.at_least("listeners, rooms of 10", "joins per CPU second", statistics.median(per_cpu), "1/s", 150)
    report.add("listeners, rooms of 10", "joins per second by the clock", statistics.median(by_clock), "1/s")
    report.add("newcomer to a call", "join to first packet, median", statistics.median(first_packet), "ms")
    report.add("newcomer to a call", "join to first packet, worst", max(first_packet), "ms")
    return report


async def _join_rooms(here: Stage, rooms: list[str]) -> list[Participant]:
    places = iter([room for room in rooms for _ in range(ROOM)])
    return await join_all(lambda: Participant(here.client, here.sfu, next(places)), len(rooms) * ROOM, at_once=AT_ONCE)


async def _first_packets(here: Stage, room: str) -> list[float]:
    """Join a room in which somebody talks, one participant after another; return the ms from join to first packet."""
    speaker = Participant(here.client, here.sfu, room)
    await speaker.join(publishes=True)
    here.participants.append(speaker)
    here.add_tracks(await speaker.publish(Codec.OPUS), Codec.OPUS)
    talking = asyncio.create_task(here.perform(SPOKEN_SECONDS))
    newcomers = [Participant(here.client, here.sfu, room) for _ in range(ROOM)]
    for newcomer in newcomers:
        await newcomer.join()
    await talking
    here.tracks.clear()
    here.participants += newcomers
    heard = [(here.client.first_packet_at(one.peer), one.joined_at) for one in newcomers]
    return [(at - joined) / 1e6 for at, joined in heard if at]
