"""Outputs into buckets that applications own, whose credentials come with the order."""

import time
from typing import ClassVar

import aiohttp
import msgspec

from foundation import public_http
from foundation.broadcasts import OutputOrder, OutputState
from objects.bucket_upload import UploadFailed, repeatedly, upload
from objects.buckets import Bucket
from recorder.broadcast.output import Failed, Output

_PAUSES = (1.0, 4.0, 15.0)
"""Seconds between attempts to store an object."""
_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10, sock_read=30)
_FIRST_SECONDS = 30.0
"""A process that begins an output later than that after the order is not the first."""


class BucketOutput(Output):
    """Stores objects in a bucket. It cannot list what is there, so numbers come from the time of the order."""

    longest_wait_us: ClassVar[int] = 60_000_000

    def __init__(self, order: OutputOrder, zero: int) -> None:
        super().__init__(order, zero)
        self._bucket = msgspec.json.decode(order.key, type=Bucket)
        self._folder = order.view.folder or ""
        self._is_proved = False
        self._count = 0

    def state(self) -> OutputState:
        """Return the status. It is live once an object is stored, so that a bucket that refuses all is given up."""
        state = super().state()
        phase = "connecting" if state.phase == "live" and not self._is_proved else state.phase
        return msgspec.structs.replace(state, phase=phase, images=self._count)

    def first_number(self, seconds: float) -> int:
        """Return a number for objects stored every `seconds`, beyond those that an earlier process can have used."""
        elapsed = time.time() - self.order.begun / 1000
        return 0 if elapsed < _FIRST_SECONDS else int(elapsed / seconds) + 1

    async def store(self, name: str, data: bytes, media_type: str) -> None:
        """Store an object; raises Failed after the last attempt."""
        key, size = self._folder + name, len(data)

        async def put() -> str:
            async with public_http.session(self.order.private, _TIMEOUT) as session:
                return await upload(session, self._bucket, key, data, size=size, media_type=media_type)

        try:
            await repeatedly(put, _PAUSES)
        except UploadFailed as failed:
            raise Failed(str(failed)) from failed
        self._is_proved = True
