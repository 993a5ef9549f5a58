"""The SRT listener: encoders send MPEG-TS to srt://HOST:PORT with a stream key as the stream id."""

import asyncio
import contextlib
import hmac
import logging
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from foundation.background import cancel_all
from foundation.media_units import Unit, UnitKind
from ingress import metrics
from ingress.config import IngressConfig
from ingress.control_client import ControlClient
from ingress.keys import Refused, admit
from ingress.stream import Failed, Stream
from ingress.streams import Streams, TooManyStreams
from sfu.formats import srt
from sfu.formats.srt import Control, Handshake, Kind, Refusal
from sfu.formats.srt_receiver import Receiver

_log = logging.getLogger(__name__)
_TICK_SECONDS = 0.01
_IDLE_SECONDS = 15.0
_COOKIE_SECONDS = 60
_MAX_CONNECTIONS = 64
_MAX_OF_ONE = 32
_MAX_WAITING = 4096
"""The packets that wait while a key is checked and a process starts."""

Address = tuple[Any, ...]


class SrtListener:
    """Serves SRT on the configured port."""

    def __init__(self, config: IngressConfig, control: ControlClient, streams: Streams) -> None:
        self._config = config
        self._control = control
        self._streams = streams

    async def run(self, ready: asyncio.Event) -> None:
        """Listen until cancelled. Raises OSError if the port is taken."""
        if self._config.srt_port < 0:
            ready.set()
            return
        loop = asyncio.get_running_loop()
        address = (self._config.host, self._config.srt_port)
        door = _Door(self)
        transport, _ = await loop.create_datagram_endpoint(lambda: door, local_addr=address)
        ready.set()
        try:
            while True:
                await door.some.wait()
                door.tick()
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            await cancel_all(door.serving)
            transport.close()

    async def serve(self, connection: "_Connection") -> None:
        """Check the key of a connection, and carry its stream. Refuses it, with a reason, if that is not possible."""
        try:
            stream = await admit(self._control, self._config.instance, connection.key)
            async with self._streams.place(stream):
                process = await self._streams.spare.take()
                try:
                    process.order(self._config.height, form="mpegts")
                    carried = Stream(stream, "srt", self._config.instance, self._control, process)
                    connection.accept()
                    with contextlib.suppress(Failed):
                        await self._streams.carry(carried, connection.feed(carried))
                finally:
                    await process.close()
        except Refused as refused:
            connection.refuse(Refusal.UNAVAILABLE if refused.again else Refusal.UNAUTHORIZED)
        except (TooManyStreams, OSError):
            connection.refuse(Refusal.RESOURCE)


class _Door(asyncio.DatagramProtocol):
    """The socket, and its connections by address. Until a handshake has its cookie, nothing is kept."""

    def __init__(self, listener: SrtListener) -> None:
        self.serving: set[asyncio.Task[None]] = set()
        self._listener = listener
        self._secret = secrets.token_bytes(16)
        self.some = asyncio.Event()
        self._connections: dict[Address, _Connection] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        header = srt.read_header(data)
        if header is None:
            return
        if header.sequence is None and header.kind == Control.HANDSHAKE:
            try:
                self._shake_hands(srt.read_handshake(data), addr)
            except ValueError:
                metrics.REFUSED.labels("protocol").inc()
            return
        connection = self._connections.get(addr)
        if connection is not None and header.destination == connection.socket:
            connection.receive(data)

    def error_received(self, exc: Exception) -> None:
        """Ignore network errors: silence ends a connection."""

    def tick(self) -> None:
        for connection in list(self._connections.values()):
            connection.tick()

    def send(self, packets: list[bytes], to: Address) -> None:
        if self._transport is not None:
            for packet in packets:
                self._transport.sendto(packet, to)

    def _shake_hands(self, theirs: Handshake, addr: Address) -> None:
        if theirs.kind == Kind.INDUCTION:
            answer = theirs._replace(kind=Kind.INDUCTION, cookie=next(self._cookies(addr)))
            self.send([srt.handshake(answer, theirs.socket)], addr)
            return
        if theirs.kind != Kind.CONCLUSION or theirs.cookie not in self._cookies(addr):
            return
        known = self._connections.get(addr)
        if known is not None and known.theirs.socket == theirs.socket:
            known.repeat()
            return
        if known is not None:
            known.close()
        refusal = self._reason_against(theirs, addr)
        if refusal is not None:
            metrics.REFUSED.labels("protocol").inc()
            self.send([srt.handshake(theirs._replace(kind=refusal), theirs.socket)], addr)
            return
        connection = self._connections[addr] = _Connection(self, theirs, addr)
        self.some.set()
        task = asyncio.create_task(self._serve(connection, addr))
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)

    def _reason_against(self, theirs: Handshake, addr: Address) -> Refusal | None:
        if theirs.version != srt.VERSION:
            return Refusal.VERSION
        if theirs.encrypts:
            return Refusal.ENCRYPTION
        if not theirs.is_message:
            return Refusal.MESSAGE_API
        of_one = Counter(address[0] for address in self._connections)[addr[0]]
        is_full = len(self._connections) >= _MAX_CONNECTIONS or of_one >= _MAX_OF_ONE
        return Refusal.RESOURCE if is_full else None

    def _cookies(self, addr: Address) -> Iterator[int]:
        """Yield the cookies that are valid for an address: the newest, and the one before."""
        minute = int(time.monotonic()) // _COOKIE_SECONDS
        for one in (minute, minute - 1):
            text = f"{addr[0]} {addr[1]} {one}".encode()
            yield int.from_bytes(hmac.digest(self._secret, text, "sha256")[:4], "big")

    async def _serve(self, connection: "_Connection", addr: Address) -> None:
        metrics.CONNECTIONS.inc()
        try:
            await self._listener.serve(connection)
        finally:
            metrics.CONNECTIONS.dec()
            connection.close()
            if self._connections.get(addr) is connection:
                del self._connections[addr]
            if not self._connections:
                self.some.clear()


class _Connection:
    """A connection of an encoder. Raises ValueError if its stream id is invalid."""

    def __init__(self, door: _Door, theirs: Handshake, addr: Address) -> None:
        self.theirs = theirs
        self.key = srt.key_of(theirs.stream_id)
        self.socket = secrets.randbits(30) + 1
        self._door = door
        self._addr = addr
        self._receiver = Receiver(theirs.socket, theirs.sequence, theirs.latency, _now())
        self._answer: Handshake | None = None
        self._content: list[bytes] = []
        self._some = asyncio.Event()
        self._heard = time.monotonic()

    def accept(self) -> None:
        """Let the encoder send."""
        latency = self._receiver.latency_ms
        self._answer = self.theirs._replace(kind=Kind.CONCLUSION, socket=self.socket, latency=latency)
        self.repeat()

    def refuse(self, reason: Refusal) -> None:
        """Refuse the encoder, unless it may send already."""
        if self._answer is None:
            self._answer = self.theirs._replace(kind=reason)
            self.repeat()

    def repeat(self) -> None:
        """Send the answer to the handshake, or again if it was lost."""
        if self._answer is not None:
            self._door.send([srt.handshake(self._answer, self.theirs.socket)], self._addr)

    def receive(self, data: bytes) -> None:
        self._take(self._receiver.receive(data, _now()))

    def tick(self) -> None:
        if self._answer is not None and self._answer.kind == Kind.CONCLUSION:
            self._take(self._receiver.tick(_now()))

    def close(self) -> None:
        """End the connection; `feed` returns."""
        if not self._receiver.is_over:
            self._receiver.close(_now())
        self._take([])
        self._some.set()

    async def feed(self, stream: Stream) -> None:
        """Pass content on until the encoder ends its stream. Raises Failed."""
        while not self._receiver.is_over or self._content:
            try:
                async with asyncio.timeout(1.0):
                    await self._some.wait()
            except TimeoutError as error:
                if time.monotonic() - self._heard > _IDLE_SECONDS:
                    raise Failed(f"No data has arrived for {_IDLE_SECONDS:.0f} s.") from error
                continue
            self._some.clear()
            content, self._content = self._content, []
            if content:
                stream.put(Unit(UnitKind.CONTENT, False, _now(), b"".join(content)))
            stream.lost = self._receiver.skipped

    def _take(self, content: list[bytes]) -> None:
        if len(self._content) < _MAX_WAITING:
            self._content += content
        if content:
            self._heard = time.monotonic()
        if content or self._receiver.is_over:
            self._some.set()
        self._door.send(self._receiver.output(), self._addr)


def _now() -> int:
    return time.monotonic_ns() // 1000
