"""Output to an SRT listener: MPEG-TS, with a stream id and, if there is a passphrase, encrypted."""

import asyncio
import contextlib
import secrets
import time
from typing import Any

from foundation.background import cancel_all
from foundation.broadcasts import OutputKind
from foundation.outgoing_connections import allowed_addresses
from foundation.srt_addresses import SrtSecrets, SrtTarget, read_srt_secrets, srt_target
from recorder.broadcast.output import Failed, Output
from recorder.broadcast.transport_stream import TransportStream
from sfu.formats.srt import SEQUENCES
from sfu.formats.srt_cipher import SrtCipher
from sfu.formats.srt_sender import Caller

_TICK_SECONDS = 0.01


class SrtOutput(Output):
    kind: OutputKind = "srt"

    async def hand_over(self) -> None:
        """Send until the connection fails."""
        where, known = srt_target(self.order.url), read_srt_secrets(self.order.key)
        (address, *_) = await allowed_addresses(where.host, where.port, private=self.order.private)
        loop = asyncio.get_running_loop()
        # PBKDF2 takes milliseconds.
        cipher = await asyncio.to_thread(SrtCipher, known.passphrase) if known.passphrase else None
        caller = _caller(where, known, cipher)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Socket(caller), remote_addr=(address, where.port))
        sending: asyncio.Task[None] | None = None
        try:
            while not caller.over:
                caller.tick(_now())
                _flush(caller, transport)
                if caller.is_connected and sending is None:
                    sending = asyncio.create_task(self._send(caller, transport))
                if sending is not None and sending.done():
                    sending.result()
                await asyncio.sleep(_TICK_SECONDS)
            raise Failed(caller.over)
        finally:
            if sending is not None:
                await cancel_all([sending])
            caller.close(_now())
            _flush(caller, transport)
            transport.close()

    async def forget(self) -> None:
        """Do nothing, since nothing is stored."""

    async def _send(self, caller: Caller, transport: asyncio.DatagramTransport) -> None:
        self.is_live()
        given_up = 0
        unit = await self.next()
        with contextlib.closing(TransportStream(self._setup)) as stream:
            while True:
                parts = stream.put(unit)
                for part in parts:
                    caller.send(part, _now())
                _flush(caller, transport)
                self.handed(sum(map(len, parts)), unit.us)
                self.lost(caller.dropped - given_up)
                given_up = caller.dropped
                unit = await self.next()


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._caller.receive(data, _now())
        _flush(self._caller, self._transport)

    def error_received(self, exc: Exception) -> None:
        """Ignore network errors: the lack of answers ends the connection."""


def _caller(where: SrtTarget, known: SrtSecrets, cipher: SrtCipher | None) -> Caller:
    return Caller(
        known.stream_id,
        where.latency_ms,
        _now(),
        sequence=secrets.randbelow(SEQUENCES),
        socket=secrets.randbits(30) + 1,
        cipher=cipher,
    )


def _flush(caller: Caller, transport: Any) -> None:
    for packet in caller.output():
        transport.sendto(packet)


def _now() -> int:
    return time.monotonic_ns() // 1000
