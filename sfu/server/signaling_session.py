"""One signaling session over any carrier: greeting, admission, bounded reading, writing from a bounded queue."""

import asyncio
import time
from typing import Protocol

from websockets.exceptions import ConnectionClosed

from foundation.token_bucket import TokenBucket
from sfu.api import signaling
from sfu.api.refusal import Code, Refused

MAX_QUEUED = 2000
JOIN_SECONDS = 10.0
MESSAGES_PER_SECOND = 40.0
MESSAGES_BURST = 400.0
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013


class Close:
    """The end of a session's outgoing messages."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class SignalingLink(Protocol):
    """The carrier of a session's messages; all methods raise ConnectionClosed (of websockets) once it has ended."""

    async def recv(self) -> str | bytes: ...
    async def send(self, text: str, /) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...


class SignalingSession:
    """`number` identifies the session to the node. Reading and writing are two tasks of the server."""

    def __init__(self, number: int, connection: SignalingLink) -> None:
        self.number = number
        self._connection = connection
        self._queue: asyncio.Queue[str | bytes | Close] = asyncio.Queue(MAX_QUEUED)
        self._bucket = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_BURST)
        self.closing = False

    def tell(self, message: signaling.Message, encoded: dict[int, str]) -> bool:
        """Queue a message, and keep it in `encoded` for others; return False if the client is too slow to be kept."""
        text = encoded.get(id(message))
        if text is None:
            text = encoded[id(message)] = signaling.encode(message)
        return self.put(text)

    def put(self, text: str | bytes) -> bool:
        """Queue a text; return False if the client is too slow to be kept."""
        if self.closing:
            return True
        if self._queue.full():
            return False
        self._queue.put_nowait(text)
        return True

    def close(self, code: int, reason: str) -> None:
        """Close once the queue has been sent; a slow client's queue is dropped."""
        if self.closing:
            return
        self.closing = True
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
        self._queue.put_nowait(Close(code, reason))

    async def write(self) -> None:
        """Send queued messages, until closed."""
        try:
            while True:
                item = await self._queue.get()
                if isinstance(item, Close):
                    await self._connection.close(item.code, item.reason)
                    return
                await self._send(item)
        except ConnectionClosed:
            return

    async def _send(self, item: str | bytes) -> None:
        assert isinstance(item, str)
        await self._connection.send(item)

    async def first(self) -> signaling.Join:
        """Return the first message; raises Refused unless it is a join of a supported version."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                message = await self.receive()
        except TimeoutError as error:
            raise Refused(Code.JOIN_TIMEOUT, "No `join` arrived in time.", fatal=True) from error
        if not isinstance(message, signaling.Join):
            raise Refused(Code.BAD_MESSAGE, "The first message must be `join`.", fatal=True)
        if message.v not in signaling.VERSIONS:
            raise Refused(
                Code.UNSUPPORTED_VERSION, f"This server supports versions {list(signaling.VERSIONS)}.", fatal=True
            )
        if (message.token is None) == (message.resume is None):
            raise Refused(Code.BAD_MESSAGE, "Either `token` or `resume` is required, but not both.", fatal=True)
        return message

    async def receive_data(self) -> str | bytes:
        """Return the next text; raises Refused (fatal) if the rate is exceeded, or ConnectionClosed."""
        data = await self._connection.recv()
        if not self._bucket.take(time.monotonic_ns()):
            raise Refused(Code.TOO_MANY_REQUESTS, "Too many messages.", fatal=True)
        return data

    async def receive(self) -> signaling.ClientMessage:
        """Return the next message; raises Refused or ConnectionClosed."""
        data = await self.receive_data()
        try:
            return signaling.decode_client(data)
        except ValueError as error:
            raise Refused(Code.BAD_MESSAGE, f"Invalid message: {error}") from error
