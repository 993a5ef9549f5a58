"""Outputs of single images, which stay, and their names; one stores them in the store of recordings."""

import time
from abc import abstractmethod
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from foundation.broadcasts import MOST_IMAGES, ImageOptions, OutputKind, OutputOrder, OutputState
from foundation.media_units import UnitKind
from objects.threads import Objects
from recorder.broadcast.output import Output


class Images(Output):
    """Names and counts JPEG images as they come. Numbers begin with `_first`; `_count` images are stored."""

    kind: OutputKind = "images"
    takes: ClassVar[frozenset[UnitKind]] = frozenset({UnitKind.IMAGE})
    longest_wait_us: ClassVar[int] = 60_000_000

    def __init__(self, order: OutputOrder, zero: int) -> None:
        super().__init__(order, zero)
        self._options = order.view.images or ImageOptions()
        self._first = self._count = 0

    @abstractmethod
    async def store(self, name: str, data: bytes, media_type: str) -> None:
        """Store an image."""

    async def hand_over(self) -> None:
        """Store images."""
        self.is_live()
        while True:
            unit = await self.next()
            if self._count >= MOST_IMAGES:
                self.lost(1)
                continue
            name = image_name(self._options, self._first + self._count, captured_at(self._zero, unit.us))
            await self.store(name, unit.data, "image/jpeg")
            self._count += 1
            self.handed(len(unit.data), unit.us)

    async def forget(self) -> None:
        """Do nothing, since images stay."""

    def state(self) -> OutputState:
        return msgspec.structs.replace(super().state(), images=self._count)


class ImageOutput(Images):
    """Stores images in the store of recordings."""

    def __init__(self, order: OutputOrder, zero: int, objects: Objects) -> None:
        super().__init__(order, zero)
        self._objects = objects

    async def hand_over(self) -> None:
        """Store images. After an interruption their numbers continue."""
        stored = len(await self._objects.list(self.order.folder))
        self._count = max(self._count, stored)
        await super().hand_over()

    async def store(self, name: str, data: bytes, media_type: str) -> None:
        """Store an image; raises OSError."""
        await self._objects.put(self.order.folder + name, data)


def image_name(options: ImageOptions, number: int, at: datetime) -> str:
    """Return the name of an image that was captured at a time."""
    if options.suffix == "none":
        return f"{options.prefix}.jpg"
    if options.suffix == "index":
        return f"{options.prefix}_{number:05d}.jpg"
    return f"{options.prefix}_{stamp(at)}.jpg"


def stamp(at: datetime) -> str:
    """Return a time for names, to ms."""
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


def captured_at(zero: int, us: int) -> datetime:
    """Return when a unit was captured, `us` after a broadcast's zero (ns of the monotonic clock)."""
    ago = time.monotonic_ns() - zero - us * 1000
    return datetime.fromtimestamp((time.time_ns() - ago) / 1e9, UTC)
