"""Many meetings on one sfu: participants, speakers, joins and leaves."""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Protocol

from bench.light.performer import Performer
from bench.light.recording import RIDS, SIZES, recording
from bench.light.tiles import Tiles
from bench.report import end_progress, show_progress

TILES = 25
LOSSY_SHARE, LOSS = 0.1, 0.01
SPEAKS_SECONDS = (4.0, 12.0)
CHURN_A_MINUTE = 0.01
BEGIN_NS = 1_000_000_000
AUDIO_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class Shape:
    """A number of rooms and of people in each room."""

    rooms: int
    people: int

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """Read "16x4"; raises ValueError if it is something else."""
        rooms, by, people = text.lower().partition("x")
        if not (by and rooms.isdecimal() and people.isdecimal()) or int(rooms) < 1 or int(people) < 2:
            raise ValueError(f"{text!r} is not ROOMSxPEOPLE with at least two people, such as 16x4")
        return cls(int(rooms), int(people))

    @property
    def participants(self) -> int:
        return self.rooms * self.people

    def __str__(self) -> str:
        return f"{self.rooms} rooms × {self.people}"


class Person(Protocol):
    """A participant in a meeting, on any server."""

    peer: int
    participant: str
    performer: Performer | None
    tiles: Tiles

    async def enter(self, *, publishes: bool) -> None:
        """Join; if the person `publishes`, offer a camera and a microphone, which send nothing yet."""

    async def leave(self) -> None:
        """Leave for good."""

    async def abandon(self) -> None:
        """Close everything without notifying the server."""


Make = Callable[[str, float], Person]
"""Creates a person in a room (name) whose link loses a share of the packets."""


@dataclass(slots=True)
class Crowd:
    """The people of all rooms. A different `first_room` separates crowds on one sfu.

    `lossy_share` of the links lose the share `loss` of their packets.
    At most `publishers` people in each room publish; the others only watch.
    """

    make: Make
    shape: Shape
    first_room: int = 0
    publishers: int = sys.maxsize
    loss: float = LOSS
    lossy_share: float = LOSSY_SHARE
    rooms: dict[str, list[Person]] = field(default_factory=dict)
    _links: int = 0

    @property
    def people(self) -> list[Person]:
        return [participant for room in self.rooms.values() for participant in room]

    async def enter(self, at_once: int = 8) -> None:
        """Join everybody; nobody sends anything yet."""
        names = [f"room-{self.first_room + k}" for k in range(self.shape.rooms)]
        waiting = iter([name for _ in range(self.shape.people) for name in names])
        done = 0

        async def work() -> None:
            nonlocal done
            for name in waiting:
                await self._enter(name)
                done += 1
                show_progress("joining", done / self.shape.participants)

        await asyncio.gather(*(work() for _ in range(at_once)))
        end_progress()

    def begin(self) -> None:
        """Start all performers within a second; one in each room speaks."""
        for room in self.rooms.values():
            performers = _performers(room)
            for performer in performers:
                performer.begin(random.randrange(BEGIN_NS))
            performers[0].speak(loud=True)

    def end(self) -> None:
        """Stop all performers."""
        for performer in _performers(self.people):
            performer.end()

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Change speakers, and let people join and leave, during the block."""
        tasks = [asyncio.create_task(self._talk(room)) for room in self.rooms.values()]
        tasks.append(asyncio.create_task(self._come_and_go()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for said in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(said, Exception):
                    raise said

    def wanted_per_second(self) -> tuple[float, float]:
        """Return the packets that all tiles request, of video and of sound, without repairs and keyframes."""
        rates = {size: recording().packets_per_second(RIDS.index(rid)) for rid, size in SIZES.items()}
        video = sum(rates[size] for participant in self.people for size in participant.tiles.sizes())
        audio = sum(len(room) * (len(room) - 1) for room in self.rooms.values()) * AUDIO_PER_SECOND
        return video, audio

    def wanted_tiles(self) -> int:
        """Return the number of tiles that people see."""
        return sum(len(participant.tiles.sizes()) for participant in self.people)

    async def leave(self) -> None:
        """Close all connections without notifying the server."""
        await asyncio.gather(*(participant.abandon() for participant in self.people))

    async def _enter(self, name: str) -> Person:
        self._links += 1
        loss = self.loss if self._links % round(1 / self.lossy_share) == 0 else 0.0
        participant = self.make(name, loss)
        room = self.rooms.setdefault(name, [])
        room.append(participant)
        await participant.enter(publishes=room.index(participant) < self.publishers)
        return participant

    async def _talk(self, room: list[Person]) -> None:
        speaker = _performers(room)[0]
        while True:
            await asyncio.sleep(random.uniform(*SPEAKS_SECONDS))
            speaker.speak(loud=False)
            others = [performer for performer in _performers(room) if performer is not speaker]
            speaker = random.choice(others or [speaker])
            speaker.speak(loud=True)

    async def _come_and_go(self) -> None:
        pause = 60 / (CHURN_A_MINUTE * self.shape.participants)
        for name in cycle(self.rooms):
            await asyncio.sleep(random.expovariate(1 / pause))
            gone = self.rooms[name].pop()
            await gone.leave()
            came = await self._enter(name)
            for performer in _performers([came]):
                performer.begin()


def _performers(people: Iterable[Person]) -> list[Performer]:
    return [one.performer for one in people if one.performer is not None]
