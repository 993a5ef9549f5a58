"""Output to an RTMP server, over TCP or TLS."""

import asyncio
import contextlib
from typing import NamedTuple
from urllib.parse import urlsplit

from foundation.broadcasts import OutputKind
from foundation.media_units import Unit, UnitKind
from foundation.outgoing_connections import connect
from recorder.broadcast.output import Failed, Output
from sfu.formats import amf0, flv
from sfu.formats.rtmp import Kind, Publisher, Refused

_PORTS = {"rtmp": 1935, "rtmps": 443}
_ANSWER_SECONDS = 8.0
_STALL_SECONDS = 10.0
_READ = 1 << 16


class Target(NamedTuple):
    """An RTMP address without its key."""

    host: str
    port: int
    tls: bool
    app: str
    tc_url: str


def target(url: str) -> Target:
    """Parse an address, rtmp[s]://host[:port]/application; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an RTMP address must begin with rtmp:// or rtmps://")
    app = parts.path.strip("/") + (f"?{parts.query}" if parts.query else "")
    tc_url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{app}"
    return Target(parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "rtmps", app, tc_url)


class RtmpOutput(Output):
    kind: OutputKind = "rtmp"

    async def hand_over(self) -> None:
        """Publish until the connection fails."""
        where = target(self.order.url)
        reader, writer = await connect(where.host, where.port, tls=where.tls, private=self.order.private)
        publisher = Publisher(where.app, where.tc_url, self.order.key)
        try:
            await self._greet(publisher, reader, writer)
            listening = asyncio.create_task(_listen(publisher, reader, writer))
            sending = asyncio.create_task(self._send(publisher, writer))
            try:
                await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (listening, sending):
                    task.cancel()
                ended = await asyncio.gather(listening, sending, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    raise error
        except Refused as refused:
            raise Failed(f"The server refused the stream: {refused}") from refused
        finally:
            with contextlib.suppress(OSError):
                _write(writer, publisher.end())
            writer.close()

    async def forget(self) -> None:
        """Do nothing, since nothing is stored."""

    async def _greet(self, publisher: Publisher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do the handshake and request publishing."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            _write(writer, publisher.begin())
            while not publisher.is_publishing:
                if not (data := await reader.read(_READ)):
                    raise Failed("The server closed the connection before the stream began.")
                _write(writer, publisher.receive(data))
            await writer.drain()

    async def _send(self, publisher: Publisher, writer: asyncio.StreamWriter) -> None:
        self.is_live()
        base: int | None = None
        told: dict[UnitKind, Unit] = {}
        while True:
            unit = await self.next()
            if base is None:
                base = unit.us
                _write(writer, publisher.media(Kind.DATA, 0, _METADATA))
            at = max(0, (unit.us - base) // 1000)
            data = b""
            for kind, setup in self._setup.items():
                if told.get(kind) != setup:
                    told[kind] = setup
                    data += _message(publisher, setup, at)
            data += _message(publisher, unit, at)
            _write(writer, data)
            async with asyncio.timeout(_STALL_SECONDS):
                await writer.drain()
            self.handed(len(data), unit.us)


async def _listen(publisher: Publisher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the server until it closes the connection."""
    while data := await reader.read(_READ):
        _write(writer, publisher.receive(data))
    raise Failed("The server closed the connection.")


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write; raises ConnectionResetError if the connection is already closed."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(data)


def _message(publisher: Publisher, unit: Unit, at: int) -> bytes:
    match unit.kind:
        case UnitKind.VIDEO_SETUP:
            return publisher.media(Kind.VIDEO, at, flv.video_configuration(unit.data))
        case UnitKind.AUDIO_SETUP:
            return publisher.media(Kind.AUDIO, at, flv.audio_configuration(unit.data))
        case UnitKind.VIDEO:
            return publisher.media(Kind.VIDEO, at, flv.video(unit.data, keyframe=unit.keyframe))
        case UnitKind.AUDIO:
            return publisher.media(Kind.AUDIO, at, flv.audio(unit.data))
        case _:
            return b""


_METADATA = amf0.encode("@setDataFrame", "onMetaData", {"videocodecid": 7.0, "audiocodecid": 10.0, "encoder": "Parley"})
