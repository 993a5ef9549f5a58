"""Request bodies that are streamed: never more than a megabyte of one waits in memory.

Quart reads a body as fast as it comes, whoever consumes it. Here reading pauses while the handler is behind, and so
TCP slows the sender down.
"""

import asyncio
from typing import Any

from hypercorn.typing import ASGIReceiveCallable
from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

_HIGH_WATER = 1024 * 1024
STREAMED_PATHS = frozenset({"/api/v1/media/upload"})


class PacedBody(Body):
    """A body that says when it has room. Bodies with a size limit always have: they are bounded by it."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._taken = asyncio.Event()
        self._limited = max_content_length is not None

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._taken.set()
        return data

    async def room(self) -> None:
        """Return when what waits has been taken."""
        while not self._limited and len(self._data) > _HIGH_WATER:
            self._taken.clear()
            await self._taken.wait()


class StreamingRequest(Request):
    """A request whose body has no size limit on the streamed paths: their handlers count for themselves."""

    body_class = PacedBody
    body: PacedBody

    def __init__(self, *args: Any, **named: Any) -> None:
        if args[2] in STREAMED_PATHS:
            named["max_content_length"] = None
        super().__init__(*args, **named)


class PacedConnection(ASGIHTTPConnection):
    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.request":
                request.body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
                assert isinstance(request.body, PacedBody)
                await request.body.room()
            elif message["type"] == "http.disconnect":
                return
