"""Request bodies that are streamed: of each one piece waits in memory while another is being written.

Quart reads a body as fast as it comes, whoever consumes it. Here reading pauses while the handler is behind, and so
TCP slows the sender down. Only ASGI's own calls are wrapped: Quart's insides differ between its releases.
"""

import asyncio
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, ASGISendEvent
from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

_HIGH_WATER = 64 * 1024
_GATE = "parley.upload_gate"
STREAMED_PATHS = frozenset({"/api/v1/media/upload"})


class Gate:
    """Counts what was read and not yet taken; closed while that exceeds the high water mark."""

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
        """Stay open: the answer is out, what still comes is thrown away."""
        self._waiting = -(1 << 62)
        self._open.set()

    async def room(self) -> None:
        await self._open.wait()


class PacedBody(Body):
    """A body that tells the gate what its reader took."""

    gate: Gate | None = None

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        if self.gate:
            self.gate.taken(len(data))
        return data


class StreamingRequest(Request):
    """A request whose body has no size limit on the streamed paths: their handlers count for themselves."""

    body_class = PacedBody
    body: PacedBody

    def __init__(self, *args: Any, **named: Any) -> None:
        if args[2] in STREAMED_PATHS:
            named["max_content_length"] = None
        super().__init__(*args, **named)
        self.body.gate = named["scope"].get(_GATE)


class PacedConnection(ASGIHTTPConnection):
    """A connection that reads no further while its gate is closed."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if self.scope["path"] not in STREAMED_PATHS:
            await super().__call__(receive, send)
            return
        gate = Gate()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a TypedDict, and ASGI lets servers add keys
        scope[_GATE] = gate

        async def paced_receive() -> ASGIReceiveEvent:
            await gate.room()
            message = await receive()
            if message["type"] == "http.request":
                gate.read(len(message.get("body", b"")))
            return message

        async def watched_send(message: ASGISendEvent) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                gate.release()

        await super().__call__(paced_receive, watched_send)
