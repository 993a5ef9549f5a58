"""A stream that is read from an RTSP server, over its TCP connection, whose address is checked as for webhooks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit, urlunsplit

from foundation.background import cancel_all
from foundation.digest import Account, answer, choose
from foundation.media_units import Unit, UnitKind
from foundation.outgoing_connections import connect
from ingress.stream import Failed, Stream
from sfu.api.ingress import UrlOrder
from sfu.formats import rtcp, rtp, rtsp
from sfu.formats.unwrap import Unwrapper
from sfu.frames.assembler import Frame, FrameAssembler

_PORTS = {"rtsp": 554, "rtsps": 322}
_READ = 1 << 16
_GREETING_SECONDS = 10.0
_IDLE_SECONDS = 15.0
_AAC_SAMPLES = 1024
_SOUNDS = {"aac": "aac", "opus": "libopus", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g722": "g722"}


def is_rtsp(url: str) -> bool:
    return urlsplit(url).scheme in _PORTS


class RtspSource:
    """An open session. `sound` is the FFmpeg decoder of its audio, with its rate and channels."""

    def __init__(
        self,
        client: rtsp.Client,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        early: list[rtsp.Packet],
    ) -> None:
        self._client = client
        self._early = early
        self._reader = reader
        self._writer = writer
        self._tracks = [_Track(track, client.first.get(index)) for index, track in enumerate(client.tracks)]
        self._zero: float | None = None

    @property
    def sound(self) -> tuple[str, int, int]:
        found = next((track for track in self._client.tracks if not track.is_video), None)
        return ("aac", 0, 0) if found is None else (_SOUNDS[found.name], found.clock_rate, found.channels)

    async def feed(self, stream: Stream) -> None:
        """Pass media on until the server ends the session. Raises Failed."""
        for track in self._client.tracks:
            config = bytes.fromhex(track.fmtp.get("config", "")) if track.name == "aac" else b""
            stream.put(Unit(UnitKind.VIDEO_SETUP if track.is_video else UnitKind.AUDIO_SETUP, False, 0, config))
        keeping = asyncio.create_task(self._keep())
        try:
            for packet in self._early:
                self._take(packet, stream)
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    data = await self._reader.read(_READ)
                if not data:
                    raise Failed("The server closed the connection.")
                for packet in self._client.receive(data):
                    self._take(packet, stream)
        except TimeoutError as error:
            raise Failed(f"No data has arrived for {_IDLE_SECONDS:.0f} s.") from error
        except (OSError, ValueError) as error:
            raise Failed(str(error) or "The connection failed.") from error
        finally:
            await cancel_all([keeping])

    def _take(self, packet: rtsp.Packet, stream: Stream) -> None:
        track = self._tracks[packet.track]
        with contextlib.suppress(ValueError):  # a malformed packet is left out
            if packet.rtcp:
                for report in rtcp.parse(packet.data):
                    if isinstance(report, rtcp.SenderReport):
                        self._align(track, report)
                return
            for unit in track.units(packet.data):
                stream.put(unit)

    def _align(self, track: "_Track", report: rtcp.SenderReport) -> None:
        """Place a track by the server's clock, so that its tracks are in sync."""
        captured = report.ntp / 2**32
        us = track.us_of(report.rtp_timestamp)
        if self._zero is None:
            self._zero = captured - us / 1_000_000
        track.shift += round((captured - self._zero) * 1_000_000) - us

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._client.keep_seconds)
            self._client.keep()
            self._writer.write(self._client.output())


class _Track:
    """Turns a track's packets into units."""

    def __init__(self, about: rtsp.Track, first: int | None) -> None:
        self.shift = 0
        self._about = about
        self._timestamps = Unwrapper(32)
        self._sequence = Unwrapper(16)
        self._origin: int | None = None if first is None else self._timestamps.unwrap(first)
        codec = about.codec
        self._frames = FrameAssembler(codec, fmtp=about.fmtp_text, resumes=True) if codec is not None else None

    def us_of(self, timestamp: int) -> int:
        """Return the media time of an RTP timestamp."""
        unwrapped = self._timestamps.unwrap(timestamp)
        if self._origin is None:
            self._origin = unwrapped
        return (unwrapped - self._origin) * 1_000_000 // self._about.clock_rate + self.shift

    def units(self, data: bytes) -> list[Unit]:
        """Return the units that a packet completes. Raises ValueError."""
        header = rtp.parse_header(data)
        if header.payload_type != self._about.payload_type:
            return []
        if self._frames is None:
            timestamp, _, start, end = rtp.content(data)
            us, step = self.us_of(timestamp), _AAC_SAMPLES * 1_000_000 // self._about.clock_rate
            frames = rtsp.access_units(bytes(data[start:end]), self._about.fmtp)
            return [Unit(UnitKind.AUDIO, True, us + index * step, frame) for index, frame in enumerate(frames)]
        made = self._frames.push(self._sequence.unwrap(header.seq), time.monotonic_ns(), data)
        kind = UnitKind.VIDEO if self._about.is_video else UnitKind.AUDIO
        return [
            Unit(kind, frame.keyframe, self.us_of(frame.timestamp % (1 << 32)), frame.data)
            for frame in made
            if isinstance(frame, Frame)
        ]


@contextlib.asynccontextmanager
async def opened(order: UrlOrder) -> AsyncIterator[RtspSource]:
    """Connect, and start to play. Raises Failed, OSError."""
    parts = urlsplit(order.url)
    if parts.hostname is None:
        raise Failed("This URL has no host.")
    account = Account(unquote(parts.username or ""), unquote(parts.password or ""))
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))

    def authorize(challenges: list[str], method: str, uri: str) -> str:
        if any(one.lower().startswith("digest") for one in challenges):
            return answer(choose(challenges), account, method, uri)
        raise rtsp.Failed("The server does not support passwords by digest.")

    try:
        async with asyncio.timeout(_GREETING_SECONDS):
            reader, writer = await connect(
                parts.hostname, parts.port or _PORTS[parts.scheme], tls=parts.scheme == "rtsps", private=order.private
            )
    except TimeoutError as error:
        raise Failed("The server does not answer.") from error
    client = rtsp.Client(url, authorize)
    early: list[rtsp.Packet] = []
    try:
        async with asyncio.timeout(_GREETING_SECONDS):
            while not client.is_playing:
                writer.write(client.output())
                if not (data := await reader.read(_READ)):
                    raise Failed("The server closed the connection.")
                early += client.receive(data)
        yield RtspSource(client, reader, writer, early)
    except TimeoutError as error:
        raise Failed("The server does not answer.") from error
    except ValueError as error:
        raise Failed(str(error)) from error
    finally:
        client.end()
        with contextlib.suppress(OSError, ValueError):
            writer.write(client.output())
        writer.close()
