"""The RTMP listener: encoders publish to rtmp://HOST/live with a stream key."""

import asyncio
import contextlib
from collections.abc import Callable

from foundation.background import cancel_all, keep_running
from foundation.connection_table import ConnectionTable, Full, host_of
from foundation.failures import describe
from foundation.followed_certificate import ServedCertificate
from foundation.media_units import Unit, UnitKind
from ingress import metrics
from ingress.config import IngressConfig
from ingress.control_client import ControlClient
from ingress.keys import Refused, admit
from ingress.stream import Failed, Stream
from ingress.streams import Streams, TooManyStreams
from sfu.formats import flv
from sfu.formats.rtmp import Kind
from sfu.formats.rtmp_receiver import Ended, Event, Media, Published, Receiver
from sfu.formats.unwrap import Unwrapper

_READ = 1 << 16
_GREETING_SECONDS = 8.0
_IDLE_SECONDS = 15.0
_MAX_CONNECTIONS = 64
_MAX_OF_ONE = 32
"""Connections from one address, which may be that of a gateway."""


class RtmpListener:
    """Serves RTMP on the configured ports."""

    def __init__(self, config: IngressConfig, control: ControlClient, streams: Streams) -> None:
        self._config = config
        self._control = control
        self._streams = streams
        self._connections: ConnectionTable[asyncio.StreamWriter] = ConnectionTable(_MAX_CONNECTIONS, _MAX_OF_ONE)
        """Idle until they have shown a key, so whoever has none keeps nobody out."""
        self._serving: set[asyncio.Task[None]] = set()

    async def run(self, ready: asyncio.Event) -> None:
        """Listen until cancelled. Raises OSError if a port is taken."""
        host = self._config.host
        async with contextlib.AsyncExitStack() as stack:
            if self._config.rtmp_port >= 0:
                server = await asyncio.start_server(self._serve, host, self._config.rtmp_port)
                await stack.enter_async_context(server)
            if self._config.rtmps_port >= 0:
                assert self._config.certificate is not None
                certificate = ServedCertificate(self._config.certificate, self._config.private_key)
                following = asyncio.create_task(keep_running("certificate", certificate.run))
                stack.push_async_callback(cancel_all, [following])
                server = await asyncio.start_server(
                    self._serve,
                    host,
                    self._config.rtmps_port,
                    ssl=certificate.context,
                    ssl_handshake_timeout=_GREETING_SECONDS,
                )
                await stack.enter_async_context(server)
            ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                await cancel_all(self._serving)  # which tell control while its client is still open

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            victim = self._connections.add(writer, host_of((writer.get_extra_info("peername") or ("",))[0]))
        except Full:
            metrics.REFUSED.labels("connections").inc()
            writer.close()
            return
        if victim is not None:
            metrics.REFUSED.labels("connections").inc()
            victim.transport.abort()
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        metrics.CONNECTIONS.inc()
        connection = _Connection(self._config, self._control, self._streams, reader, writer)
        try:
            await connection.run(lambda: self._connections.busy(writer))
        except (OSError, ValueError, TimeoutError):
            metrics.REFUSED.labels("protocol").inc()
        finally:
            self._serving.discard(task)
            self._connections.remove(writer)
            metrics.CONNECTIONS.dec()
            writer.close()


class _Connection:
    def __init__(
        self,
        config: IngressConfig,
        control: ControlClient,
        streams: Streams,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._config = config
        self._control = control
        self._streams = streams
        self._reader = reader
        self._writer = writer
        self._receiver = Receiver()
        self._timestamps = Unwrapper(32)
        self._first: int | None = None

    async def run(self, admitted: Callable[[], None]) -> None:
        """Serve the connection until it ends; `admitted` is called once it has shown a valid key.

        Raises OSError, TimeoutError, and ValueError for anything but RTMP.
        """
        async with asyncio.timeout(_GREETING_SECONDS):
            published = await self._until_published()
        if published is None:
            return
        try:
            stream = await admit(self._control, self._config.instance, published.key)
            admitted()
            async with self._streams.place(stream):
                await self._carry(stream)
        except (Refused, TooManyStreams) as refused:
            self._receiver.refuse(str(refused))
            await self._flush()

    async def _carry(self, stream: str) -> None:
        process = await self._streams.spare.take()
        try:
            process.order(self._config.height)
            carried = Stream(stream, "rtmp", self._config.instance, self._control, process)
            self._receiver.accept()
            await self._flush()
            with contextlib.suppress(Failed):
                await self._streams.carry(carried, self._feed(carried))
        finally:
            await process.close()

    async def _until_published(self) -> Published | None:
        while True:
            for event in await self._more():
                if isinstance(event, Published):
                    return event
            if self._reader.at_eof():
                return None

    async def _feed(self, stream: Stream) -> None:
        """Pass media on until the encoder ends its stream. Raises Failed."""
        while not self._reader.at_eof():
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    events = await self._more()
                for event in events:
                    if isinstance(event, Ended):
                        return
                    if isinstance(event, Media) and (unit := self._unit(event)) is not None:
                        stream.put(unit)
            except TimeoutError as error:
                raise Failed(f"No data has arrived for {_IDLE_SECONDS:.0f} s.") from error
            except (OSError, ValueError) as error:
                raise Failed(f"The encoder's connection failed: {describe(error)}.") from error

    async def _more(self) -> list[Event]:
        data = await self._reader.read(_READ)
        events = self._receiver.receive(data)
        await self._flush()
        return events

    async def _flush(self) -> None:
        if data := self._receiver.output():
            self._writer.write(data)
            await self._writer.drain()

    def _unit(self, media: Media) -> Unit | None:
        """Return the unit of a tag. Raises ValueError for codecs other than H.264 and AAC."""
        timestamp = self._timestamps.unwrap(media.timestamp)
        if self._first is None:
            self._first = timestamp
        us = (timestamp - self._first) * 1000
        if media.kind == Kind.VIDEO:
            video = flv.parse_video(media.data)
            if video is None or not video.data:
                return None
            kind = UnitKind.VIDEO_SETUP if video.is_configuration else UnitKind.VIDEO
            return Unit(kind, video.keyframe, us + video.delay * 1000, video.data)
        audio = flv.parse_audio(media.data)
        if not audio.data:
            return None
        return Unit(UnitKind.AUDIO_SETUP if audio.is_configuration else UnitKind.AUDIO, True, us, audio.data)
