"""Fetches content for a transcoding process, which has no network. Addresses are checked as for webhooks."""

import asyncio
import contextlib
import socket

import aiohttp
import msgspec
from yarl import URL

from foundation import public_http
from foundation.background import cancel_all
from foundation.failures import describe
from ingress import metrics
from ingress.transcode.contract import Fetch, Fetched

_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=15)
_PIECE = 64 * 1024
_MAX_REQUEST = 16 * 1024
_MAX_OPEN = 16
"""The number of responses that one process may read at the same time."""
_PARTIAL = 206


class Fetching:
    """Answers the requests of one process over a socket (SEQPACKET). With `private`, any address is allowed."""

    def __init__(self, ours: socket.socket, *, private: bool) -> None:
        self._socket = ours
        self._private = private
        self._open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer until the process closes the socket, or this is cancelled."""
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        async with public_http.session(self._private, _TIMEOUT) as http:
            try:
                while data := await loop.sock_recv(self._socket, _MAX_REQUEST):
                    await self._answer(http, msgspec.json.decode(data, type=Fetch))
            finally:
                await cancel_all(self._open)

    async def _answer(self, http: aiohttp.ClientSession, wish: Fetch) -> None:
        try:
            if URL(wish.url).scheme not in {"http", "https"} or wish.offset < 0:
                raise ValueError("only http and https are supported here")
            if len(self._open) >= _MAX_OPEN:
                raise ValueError("the stream opens too many URLs at the same time")
            headers = {"Range": f"bytes={wish.offset}-"} if wish.offset else {}
            answer = await http.get(wish.url, headers=headers | {"Accept-Encoding": "identity"}, max_redirects=5)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._refuse(_reason(error))
            return
        if answer.status >= 300 or (wish.offset and answer.status != _PARTIAL):
            answer.close()
            self._refuse(f"the URL's server answered with status {answer.status}")
            return
        length = -1 if answer.content_length is None else answer.content_length + wish.offset
        seekable = answer.headers.get("Accept-Ranges") == "bytes" or answer.status == _PARTIAL
        ours, theirs = socket.socketpair()
        try:
            fetched = Fetched(size=length, seekable=seekable, url=str(answer.url))
            socket.send_fds(self._socket, [msgspec.json.encode(fetched)], [theirs.fileno()])
        except OSError:
            answer.close()
            ours.close()
            raise
        finally:
            theirs.close()
        metrics.FETCHES.labels("done").inc()
        task = asyncio.create_task(_pass_on(answer, ours))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def _refuse(self, reason: str) -> None:
        metrics.FETCHES.labels("failed").inc()
        self._socket.send(msgspec.json.encode(Fetched(error=reason)))


async def _pass_on(answer: aiohttp.ClientResponse, ours: socket.socket) -> None:
    """Write content to a socket until it ends, or the reader closes the socket."""
    loop = asyncio.get_running_loop()
    ours.setblocking(False)
    try:
        with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
            async for piece in answer.content.iter_chunked(_PIECE):
                metrics.BYTES.labels("url").inc(len(piece))
                await loop.sock_sendall(ours, piece)
    finally:
        ours.close()
        answer.close()


def _reason(error: Exception) -> str:
    """Return the reason of a failure, without the URL, which may have a password."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return describe(error.os_error)
    if isinstance(error, aiohttp.ClientError):
        return "the URL cannot be fetched"
    return describe(error)
