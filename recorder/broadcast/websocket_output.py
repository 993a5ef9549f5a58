"""Output of sound to a WebSocket server, in the form of LiveKit's egress.

Binary messages contain samples (48 kHz, stereo, 16 bits, little-endian). When the microphone is turned off or on, a
text message is {"muted":true} or {"muted":false}; the samples of a muted microphone are zeros.
"""

import asyncio
from typing import ClassVar

import aiohttp

from foundation import public_http
from foundation.background import cancel_all
from foundation.broadcasts import OutputKind, OutputOrder
from foundation.media_units import Unit, UnitKind
from recorder.broadcast.output import Failed, Output

_CONNECT_SECONDS = 8.0
_STALL_SECONDS = 10.0
_PING_SECONDS = 30.0
_MAX_MESSAGE = 1 << 16
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS)


class WebSocketOutput(Output):
    kind: OutputKind = "websocket"
    takes: ClassVar[frozenset[UnitKind]] = frozenset({UnitKind.PCM, UnitKind.MUTED})

    def __init__(self, order: OutputOrder, zero: int) -> None:
        super().__init__(order, zero)
        self._muted = b"0"

    def put(self, unit: Unit) -> None:
        """Queue a unit."""
        if unit.kind is UnitKind.MUTED:
            self._muted = unit.data
        super().put(unit)

    async def hand_over(self) -> None:
        """Send until the connection fails."""
        url = self.order.url + (f"?{self.order.key}" if self.order.key else "")
        async with public_http.session(self.order.private, _TIMEOUT) as session:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    connection = await session.ws_connect(
                        url,
                        headers={"Content-Type": "audio/x-raw"},
                        heartbeat=_PING_SECONDS,
                        max_msg_size=_MAX_MESSAGE,
                    )
            except aiohttp.WSServerHandshakeError as error:
                raise Failed(f"The server refused the connection with status {error.status}.") from error
            except aiohttp.ClientError as error:
                raise Failed("The server cannot be reached.") from error
            listening = asyncio.create_task(_listen(connection))
            sending = asyncio.create_task(self._send(connection))
            try:
                await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
                for task in (sending, listening):
                    if task.done():
                        task.result()
            finally:
                await cancel_all([listening, sending])
                await connection.close()

    async def forget(self) -> None:
        """Do nothing, since nothing is stored."""

    async def _send(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.is_live()
        if self._muted == b"1":
            await connection.send_str(_told(self._muted))
        while True:
            unit = await self.next()
            async with asyncio.timeout(_STALL_SECONDS):
                if unit.kind is UnitKind.MUTED:
                    await connection.send_str(_told(unit.data))
                else:
                    await connection.send_bytes(unit.data)
            self.handed(len(unit.data), unit.us)


async def _listen(connection: aiohttp.ClientWebSocketResponse) -> None:
    """Read, so that pings are answered; raises Failed once the server closes the connection."""
    async for _ in connection:
        pass
    raise Failed("The target closed the connection.")


def _told(muted: bytes) -> str:
    return '{"muted":true}' if muted == b"1" else '{"muted":false}'
