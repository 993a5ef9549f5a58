"""Handle of the process that transcodes one stream. A spare process is started in advance, since starting is slow."""

import asyncio
import contextlib
import socket

import msgspec

from foundation import media_units, worker_process
from foundation.background import cancel_all
from foundation.media_units import Unit, UnitKind
from ingress.fetching import Fetching
from ingress.transcode.contract import Order

_LIMIT = 1 << 20


class Transcoder:
    """A running process. First give it an order; then send it the stream's units and read its output. Close it at the
    end.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        broker: socket.socket,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._broker = broker
        self._fetching: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of bytes that the process has not read yet."""
        return self._writer.transport.get_write_buffer_size()

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    def order(
        self,
        height: int,
        url: str = "",
        *,
        form: str = "",
        private: bool = False,
        sound: tuple[str, int, int] = ("aac", 0, 0),
    ) -> None:
        """Order the transcoding of the units that follow, or of a URL; with `private`, that may be in any network.

        With `form`, the units are the content of a container. `sound` is the decoder of audio, its rate and channels.
        """
        order = Order(height=height, url=url, form=form, sound=sound)
        self.put(Unit(UnitKind.STATE, False, 0, msgspec.json.encode(order)))
        if url:
            self._fetching = asyncio.create_task(_fetch(self._broker, private=private))

    def put(self, unit: Unit) -> None:
        if not self._writer.is_closing():
            self._writer.write(media_units.encode(unit))

    def ask_keyframe(self) -> None:
        self.put(Unit(UnitKind.KEYFRAME, False, 0, b""))

    async def read(self) -> Unit | None:
        """Return the next unit, None when the process has ended."""
        try:
            return await media_units.read(self._reader)
        except (ConnectionError, ValueError):
            return None

    async def close(self) -> None:
        """End the process."""
        if self._fetching is not None:
            await cancel_all([self._fetching])
        self._broker.close()
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


async def start() -> Transcoder:
    """Start a process. Raises OSError if that fails."""
    broker, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        descriptor = theirs.fileno()
        process, ours = await worker_process.start("ingress.transcode", str(descriptor), descriptors=(descriptor,))
    except BaseException:
        broker.close()
        raise
    finally:
        theirs.close()
    try:
        return Transcoder(process, *await asyncio.open_connection(sock=ours, limit=_LIMIT), broker)
    except BaseException:
        for end in (broker, ours):
            end.close()  # which ends the process
        raise


class Spare:
    """A process that was started in advance."""

    def __init__(self) -> None:
        self._starting: asyncio.Task[Transcoder] | None = None

    def prepare(self) -> None:
        """Start a process in the background, unless there is one."""
        if self._starting is None:
            self._starting = asyncio.create_task(start())

    async def take(self) -> Transcoder:
        """Return a process, and start the next. Raises OSError if that fails."""
        self.prepare()
        assert self._starting is not None
        starting, self._starting = self._starting, None
        try:
            process = await starting
            if process.is_running:
                return process
            await process.close()
            return await start()
        finally:
            self.prepare()

    async def close(self) -> None:
        """End the process."""
        if self._starting is not None:
            with contextlib.suppress(OSError):
                await (await self._starting).close()


async def _fetch(broker: socket.socket, *, private: bool) -> None:
    with contextlib.suppress(OSError, ValueError):
        await Fetching(broker, private=private).run()
