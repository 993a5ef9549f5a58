"""Output of single images into an application's bucket."""

from typing import ClassVar

from foundation.broadcasts import MOST_IMAGES, ImageOptions, OutputKind, OutputOrder
from foundation.media_units import UnitKind
from recorder.broadcast.bucket_output import BucketOutput
from recorder.broadcast.image_output import captured_at, image_name


class BucketImages(BucketOutput):
    """Stores JPEG images as they come."""

    kind: OutputKind = "images"
    takes: ClassVar[frozenset[UnitKind]] = frozenset({UnitKind.IMAGE})

    def __init__(self, order: OutputOrder, zero: int) -> None:
        super().__init__(order, zero)
        self._options = order.view.images or ImageOptions()
        self._first = self.first_number(self._options.seconds)

    async def hand_over(self) -> None:
        """Store images; after an interruption their numbers continue."""
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
