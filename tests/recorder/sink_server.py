"""The sfu's end of a sink socket, for tests: one attached recorder at a time."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from sfu.api.sink_records import (
    VERSION,
    AnyControl,
    AnyRecord,
    Durable,
    KeyframeWanted,
    PacketRecord,
    RecorderState,
    RecordingStarted,
    SenderReportRecord,
    SinkHello,
    decode,
    encode,
)


class SinkServer:
    """Server at `path` that collects the recorder's messages. Use it as an async context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[AnyControl] = []
        self.durable: dict[tuple[str, int], int] = {}
        self.stalled: dict[str, str] = {}
        self.attachments = 0
        self._attached: socket.socket | None = None
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> "SinkServer":
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.setblocking(False)
        self._listening.bind(str(self.path))
        self._listening.listen(4)
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._accepting
        self.detach()
        self._listening.close()
        self.path.unlink()

    @property
    def is_attached(self) -> bool:
        return self._attached is not None

    def detach(self) -> None:
        """Close the socket of the attached recorder."""
        if self._attached is not None:
            self._attached.close()
            self._attached = None

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            attached, _ = await loop.sock_accept(self._listening)
            attached.setblocking(False)
            attached.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            try:
                await self._serve(attached)
            finally:
                attached.close()

    async def _serve(self, attached: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(attached, 65536)
            except OSError:
                data = b""
            if not data:
                if self._attached is attached:
                    self._attached = None
                async with self._changed:
                    self._changed.notify_all()
                return
            record = decode(data)
            assert not isinstance(record, PacketRecord)
            async with self._changed:
                self.said.append(record)
                if isinstance(record, SinkHello):
                    self._attached = attached
                    self.attachments += 1
                if isinstance(record, RecorderState):
                    self.stalled = record.stalled
                if isinstance(record, Durable):
                    self.durable[record.track, record.ssrc] = record.ext_seq
                self._changed.notify_all()

    async def send(self, *records: AnyRecord) -> None:
        """Send records in order; raises OSError if the recorder has disconnected."""
        loop = asyncio.get_running_loop()
        for record in records:
            if self._attached is None:
                raise ConnectionResetError("no recorder is attached")
            await loop.sock_sendall(self._attached, encode(record))

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for a condition that the recorder's messages can change."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def attached(self, count: int = 1) -> None:
        """Wait until a recorder has attached for the `count`-th time."""
        await self.until(lambda: self.attachments >= count)

    def asked_for_keyframes(self) -> list[int]:
        """Return the handles for which keyframes were requested, in order."""
        return [record.handle for record in self.said if isinstance(record, KeyframeWanted)]


def begun(recording: str = "rec1", opened_at: int = 0, started: float = 0.0) -> RecordingStarted:
    """Return a recording that begins `started` s after its room opened."""
    unix = 1_700_000_000_000
    return RecordingStarted(
        recording=recording, room="room1", started_unix_ms=unix + round(started * 1000), opened_at=opened_at,
        opened_unix_ms=unix, v=VERSION,
    )  # fmt: skip


def by_arrival(
    *streams: Iterable[PacketRecord | SenderReportRecord],
) -> list[PacketRecord | SenderReportRecord]:
    """Return the records of several streams in the order of their arrival."""
    return sorted((record for stream in streams for record in stream), key=lambda record: record.arrival)
