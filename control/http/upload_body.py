"""Streamed request bodies: one piece of each waits in memory while another is being written.

Quart reads a body as fast as it arrives, even if nobody consumes it. Here, reading pauses while the handler is behind,
so TCP slows the sender down. Only ASGI calls are wrapped, since Quart's internals change between releases.
"""

import asyncio
from typing import Any

from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

_HIGH_WATER = 64 * 1024
_GATE = "parley.upload_gate"
STREAMED_PATHS = frozenset({"/api/v1/media/upload"})


class Gate:
    """Flow control: counts bytes read but not consumed; closed above the high-water mark."""

    def __init__(self) -> None:
        self._waiting = 0
        self._open = asyncio.Event()
        self._open.set()

    def read(self, size: int) -> None:
        self._waiting += size
        if self._waiting > _HIGH_WATER:
            self._open.clear()

    def taken(self, size: int) -> None:
        self._waiting -= size
        if self._waiting <= _HIGH_WATER:
            self._open.set()

    def release(self) -> None:
        """Stay open, since the response was sent and the rest of the body is discarded."""
        self._waiting = -(1 << 62)
        self._open.set()

    async def room(self) -> None:
        await self._open.wait()


class PacedBody(Body):
    """A body that reports consumed bytes to the gate."""

    gate: Gate | None = None

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        if self.gate:
            self.gate.taken(len(data))
        return data


class StreamingRequest(Request):
    """A request whose body has no size limit on streamed paths; their handlers enforce their own."""

    body_class = PacedBody
    body: PacedBody

    def __init__(self, *args: Any, **named: Any) -> None:
        if args[2] in STREAMED_PATHS:
            named["max_content_length"] = None
        super().__init__(*args, **named)
        self.body.gate = named["scope"].get(_GATE)


class PacedConnection(ASGIHTTPConnection):
    """A connection that pauses reading while its gate is closed."""

    async def __call__(self, receive: Any, send: Any) -> None:
        if self.scope["path"] not in STREAMED_PATHS:
            await super().__call__(receive, send)
            return
        gate = Gate()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a TypedDict, and ASGI lets servers add keys
        scope[_GATE] = gate

        async def paced_receive() -> Any:
            await gate.room()
            message = await receive()
            if message["type"] == "http.request":
                gate.read(len(message.get("body", b"")))
            return message

        async def watched_send(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                gate.release()

        await super().__call__(paced_receive, watched_send)
