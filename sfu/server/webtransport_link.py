"""One WebTransport session (draft-ietf-webtrans-http3) that carries signaling on its first bidirectional stream.

A signaling session uses it like a WebSocket: messages in both directions, a close with a code and a reason, and
ConnectionClosed once it has ended. Messages are lines (formats.message_lines).
"""

import asyncio
from collections import deque

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Close

from sfu.api.signaling import MAX_MESSAGE_BYTES
from sfu.formats.message_lines import LineReader, line

_MAX_UNREAD_BYTES = 1 << 20
_MAX_UNACKNOWLEDGED_BYTES = 256 * 1024
_CLOSE_SESSION = 0x2843  # the CLOSE_WEBTRANSPORT_SESSION capsule
_MAX_REASON_BYTES = 1024
_TOO_BIG = 1009
_FAREWELL_SECONDS = 1.0
_STALLED_SECONDS = 10.0


class WebTransportLink:
    """`session` is the stream of the CONNECT request, `stream` the one that carries messages."""

    def __init__(self, protocol: QuicConnectionProtocol, session: int, stream: int) -> None:
        self._protocol = protocol
        self._session = session
        self._stream = stream
        self._lines = LineReader(MAX_MESSAGE_BYTES)
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._ended: ConnectionClosed | None = None
        self._moved = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Take data of the stream; a message that is too long, or too many waiting ones, end the session."""
        try:
            lines = self._lines.feed(data)
        except ValueError:
            self._give_up()
            return
        self._unread += lines
        self._unread_bytes += sum(map(len, lines))
        if self._unread_bytes > _MAX_UNREAD_BYTES:
            self._give_up()
        self._moved.set()

    def _give_up(self) -> None:
        self._say_goodbye(_TOO_BIG, "message_too_large")
        self.end(Close(_TOO_BIG, "message_too_large"))

    def end(self, sent: Close | None = None) -> None:
        """End the session for readers and writers. `sent` is the close that we sent, if we ended it."""
        self._ended = self._ended or ConnectionClosedError(None, sent)
        self._moved.set()

    def progress(self) -> None:
        """Note that packets arrived, so sent data may have been acknowledged."""
        self._moved.set()

    async def recv(self) -> bytes:
        """Return the next message; raises ConnectionClosed."""
        while not self._unread:
            await self._wait()
        message = self._unread.popleft()
        self._unread_bytes -= len(message)
        return message

    async def send(self, text: str) -> None:
        """Send a message once the far end keeps up; raises ConnectionClosed, also if it lags for long."""
        try:
            async with asyncio.timeout(_STALLED_SECONDS):
                while self._unacknowledged() > _MAX_UNACKNOWLEDGED_BYTES:
                    await self._wait()
        except TimeoutError:
            self.end()
            self._protocol.close()
        if self._ended is not None:
            raise self._ended
        self._protocol._quic.send_stream_data(self._stream, line(text))
        self._protocol.transmit()

    async def close(self, code: int, reason: str) -> None:
        """End the session after all sent messages, since its end could otherwise overtake data on its streams."""
        if self._ended is not None:
            return
        self._protocol._quic.send_stream_data(self._stream, b"", end_stream=True)
        self._protocol.transmit()
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                while self._unacknowledged():
                    await self._wait()
            self._say_goodbye(code, reason)
            async with asyncio.timeout(_FAREWELL_SECONDS):
                while True:
                    await self._wait()
        except (TimeoutError, ConnectionClosed):
            self.end()
        self._protocol.close()

    def _say_goodbye(self, code: int, reason: str) -> None:
        payload = code.to_bytes(4, "big") + reason.encode()[:_MAX_REASON_BYTES]
        capsule = encode_uint_var(_CLOSE_SESSION) + encode_uint_var(len(payload)) + payload
        data_frame = encode_uint_var(0) + encode_uint_var(len(capsule)) + capsule  # RFC 9114, section 7.2.1
        self._protocol._quic.send_stream_data(self._session, data_frame, end_stream=True)
        self._protocol.transmit()

    def _unacknowledged(self) -> int:
        """The bytes that the library buffers for the stream, which have no public name."""
        stream = self._protocol._quic._streams.get(self._stream)
        return 0 if stream is None else len(stream.sender._buffer)

    async def _wait(self) -> None:
        if self._ended is not None:
            raise self._ended
        self._moved.clear()
        await self._moved.wait()
