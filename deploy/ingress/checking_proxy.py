"""HTTP proxy for a browser (RFC 9110, section 9.3.6; RFC 9112, section 3.2.2) that checks addresses, as for webhooks.

It serves one browser, on the loopback. Names are resolved here alone, so DNS rebinding leads nowhere.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from yarl import URL

from foundation.background import cancel_all
from foundation.failures import describe
from foundation.outgoing_connections import connect
from ingress import metrics

_MOST_CONNECTIONS = 256
_LARGEST_HEAD = 64 * 1024
_HEAD_SECONDS = 30.0
_PIECE = 64 * 1024
_ENDED = b"\r\n\r\n"
_HOP = (b"connection:", b"proxy-connection:", b"proxy-authorization:", b"keep-alive:")


class Wanted(NamedTuple):
    """Wish of a request: a connection to `host` and `port`; `head` is sent there first, unless it is a tunnel."""

    host: str
    port: int
    head: bytes


def read_head(head: bytes) -> Wanted:
    """Return what the head of a request wants. A plain request is made the only one of its connection.

    Raises ValueError.
    """
    line, *fields = head.removesuffix(_ENDED).split(b"\r\n")
    method, target, version = line.split(b" ")
    if method == b"CONNECT":
        tunnel = URL(f"//{target.decode('ascii')}")
        if not tunnel.host or not tunnel.explicit_port:
            raise ValueError("a tunnel needs a host and a port")
        return Wanted(tunnel.host, tunnel.explicit_port, b"")
    url = URL(target.decode("ascii"), encoded=True)
    if url.scheme != "http" or not url.host or not url.port:
        raise ValueError("only http is passed on; everything else needs a tunnel")
    kept = [field for field in fields if not field.lower().startswith(_HOP)]
    first = b" ".join((method, url.raw_path_qs.encode("ascii"), version))
    return Wanted(url.host, url.port, b"\r\n".join((first, *kept, b"Connection: close")) + _ENDED)


class CheckingProxy:
    """A proxy. With `private`, any address is allowed; `own`, a host with its port, always is."""

    def __init__(self, *, private: bool, own: str = "") -> None:
        self.error = ""
        """Cause of the latest connection's failure."""
        self._private = private
        self._own = own
        self._open: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Serve; yield the port on the loopback. Raises OSError."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_LARGEST_HEAD)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await cancel_all(self._open)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(_ENDED)
                await self._pass_on(head, reader, writer)
        finally:
            writer.close()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            wanted = read_head(head)
            private = self._private or f"{wanted.host}:{wanted.port}" == self._own
            theirs, to_them = await connect(wanted.host, wanted.port, tls=False, private=private)
        except ValueError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        except OSError as error:  # also an address that is not allowed
            self.error = describe(error)
            metrics.FETCHES.labels("failed").inc()
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        metrics.FETCHES.labels("done").inc()
        if wanted.head:
            to_them.write(wanted.head)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        both = [asyncio.create_task(_copy(reader, to_them)), asyncio.create_task(_copy(theirs, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all(both)
            to_them.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until one side ends."""
    with contextlib.suppress(OSError):
        while piece := await source.read(_PIECE):
            metrics.BYTES.labels("browser").inc(len(piece))
            target.write(piece)
            await target.drain()
