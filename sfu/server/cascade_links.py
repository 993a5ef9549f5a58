"""WebSockets between nodes that hold the same room: the secondary node dials, the home node serves.

Messages wait in a bounded queue. A link whose other side does not read is closed and reopened, and then begins with the
complete state. Port and secret are those of the node API.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from foundation.background import cancel_all
from foundation.failures import describe
from foundation.part_tls import PartTls, part_session
from sfu.api.cascade_link import LinkMessage, decode, encode
from sfu.api.refusal import Refused
from sfu.rooms.cascade_link import CascadeLink
from sfu.rooms.node import Home
from sfu.server.driver import Driver
from sfu.server.plain_sockets import PlainSockets

_QUEUE = 1000
_MAX_BYTES = 4 * 1024 * 1024
_HEARTBEAT_SECONDS = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=_HEARTBEAT_SECONDS)
_PAUSES = (0.1, 0.3, 1.0, 3.0)
_log = logging.getLogger(__name__)

Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class _HomeNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The home of a room of which this node becomes a secondary node."""

    node: str
    url: str


class CascadeLinks:
    """All links of a node, each with a queue of messages; a task dials for each room with another home."""

    def __init__(self, driver: Driver, sockets: PlainSockets, node: str, secret: str, tls: PartTls | None) -> None:
        self._driver = driver
        self._sockets = sockets
        self._node = node
        self._secret = secret
        self._tls = tls
        self._queues: dict[int, asyncio.Queue[LinkMessage | None]] = {}
        self._dialing: dict[str, asyncio.Task[None]] = {}
        self._serving: set[Socket] = set()
        self._session: aiohttp.ClientSession | None = None

    def send(self, messages: Iterable[tuple[int, LinkMessage]], closed: Iterable[int]) -> None:
        """Queue messages of links, and end closed links."""
        for number, message in messages:
            if number not in self._driver.node.links:
                continue
            queue = self._queues.setdefault(number, asyncio.Queue(_QUEUE))
            if queue.full():
                self._end(number)
            else:
                queue.put_nowait(message)
        for number in closed:
            self._end(number)

    def _end(self, number: int) -> None:
        queue = self._queues.get(number)
        if queue is not None:
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def put_home(self, request: web.Request) -> web.StreamResponse:
        """Become a secondary node of a room, which is linked to its home as soon as it is live here."""
        try:
            home = msgspec.json.decode(await request.read(), type=_HomeNode)
        except ValueError as error:
            return web.json_response({"code": "bad_message", "detail": str(error)}, status=400)
        room = request.match_info["room"]
        try:
            self._driver.node.set_home(room, Home(home.node, home.url))
        except Refused as refused:
            return web.json_response({"code": refused.code.value, "detail": refused.detail}, status=503)
        finally:
            self._driver.flush()
        return web.Response(status=204)

    def opened(self, rooms: Iterable[str]) -> None:
        """Dial the homes of live rooms that have another home."""
        for room in rooms:
            home = self._driver.node.homes.get(room)
            if home is not None and room not in self._dialing:
                task = asyncio.create_task(self._dial(room))
                self._dialing[room] = task
                task.add_done_callback(functools.partial(self._dialed, room))

    def _dialed(self, room: str, _: asyncio.Task[None]) -> None:
        del self._dialing[room]

    async def _dial(self, room: str) -> None:
        """Keep a room linked for as long as it is live here."""
        tries = 0
        while room in self._driver.node.rooms and (home := self._driver.node.homes.get(room)) is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with self._connect(room, home) as socket:
                    tries = 0
                    await self._run(room, home.node, socket, _far_host(socket))
            await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    @contextlib.asynccontextmanager
    async def _connect(self, room: str, home: Home) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        if self._session is None:
            self._session = part_session(self._secret, self._tls, _TIMEOUT)
        url = f"{home.url}/node/v1/rooms/{room}/link"
        async with self._session.ws_connect(
            url, params={"node": self._node}, heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_MAX_BYTES
        ) as socket:
            yield socket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve the link of a secondary node."""
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_MAX_BYTES)
        await socket.prepare(request)
        await self._run(
            request.match_info["room"], request.query.get("node", ""), socket, request.remote or "127.0.0.1"
        )
        return socket

    async def _run(self, room: str, node: str, socket: Socket, far: str) -> None:
        """Carry a link's messages until either side ends it."""
        try:
            link = self._open(room, node, far)
        except Refused as refused:
            _log.warning("room %s is not linked to node %s: %s", room, node, refused.detail)
            return
        finally:
            self._driver.flush()
        queue = self._queues.setdefault(link.number, asyncio.Queue(_QUEUE))
        writer = asyncio.create_task(_write(socket, queue))
        self._serving.add(socket)
        try:
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    break
                self._driver.node.link_message(link.number, decode(message.data), self._driver.now())
                self._driver.flush()
        except ValueError as error:
            _log.warning("invalid message on the link of room %s to node %s: %s", room, node, describe(error))
        finally:
            self._serving.discard(socket)
            self._driver.node.link_lost(link.number, self._driver.now())
            self._driver.flush()
            self._queues.pop(link.number, None)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            await socket.close()

    def _open(self, room: str, node: str, far: str) -> CascadeLink:
        """Link a room; raises Refused, which leaves no socket open."""
        receiving = self._sockets.to_receive(far, mux=True)
        try:
            return self._driver.node.open_link(room, node, receiving, self._sockets.to_send(far), self._driver.now())
        except Refused:
            self._sockets.give_back(receiving)
            raise

    async def stop(self) -> None:
        """End all links."""
        await cancel_all(self._dialing.values())
        for socket in list(self._serving):
            await socket.close()
        if self._session is not None:
            await self._session.close()


async def _write(socket: Socket, queue: asyncio.Queue[LinkMessage | None]) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        while (message := await queue.get()) is not None:
            await socket.send_str(encode(message))
    await socket.close()


def _far_host(socket: aiohttp.ClientWebSocketResponse) -> str:
    peer: Any = socket.get_extra_info("peername")
    return str(peer[0]) if peer else "127.0.0.1"
