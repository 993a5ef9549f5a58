"""A thin client for etcd 3.4 or newer: leases, keys under a prefix, and watches.

Nodes use it to register, and control to find them. It uses etcd's JSON gateway (etcd's documentation, "gRPC gateway")
over plain HTTP, so that no part needs gRPC for a few calls: keys and values are base64, 64-bit numbers are text.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from foundation.failures import describe

_TIMEOUT = aiohttp.ClientTimeout(total=3, connect=1)
# A member without a quorum answers such a request only when it times out, which is too late for a starting process.
_QUORUM_PATIENCE = aiohttp.ClientTimeout(total=1, connect=1)
# A watch without changes is reopened after this time, because its connection may be dead unnoticed.
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=1, sock_read=10)
_CLOSING_LOOKS = 100  # at intervals of 10 ms: the loop closes such a connection in its next turns
_MAX_LINE = 8 * 1024 * 1024
_UNAUTHENTICATED = 401  # also: the token has expired
_OUTDATED = "revision of auth store is old"  # accounts have changed since a token was signed (status 400)


class EtcdUnavailable(Exception):
    """etcd did not answer, or refused; the caller should retry later."""


class EtcdRefused(EtcdUnavailable):
    """etcd refused: retrying soon would fail again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdConfig:
    """Location of etcd: base URLs of its members. `ca_file` verifies their certificates; None: the system's CAs do."""

    urls: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    lease_seconds: int = 4
    """Seconds until the registration of a silent node expires. etcd's own minimum is 2."""


class Change(NamedTuple):
    """A key was set, or deleted (`value` is None)."""

    key: str
    value: bytes | None


class Listing(NamedTuple):
    """The values below a prefix, and the revision at which they were read.

    `stale`: the values come from one member without a quorum, and may be old.
    """

    values: dict[str, bytes]
    revision: int
    stale: bool


class Etcd:
    """A client. It uses one member until that fails, then the next."""

    def __init__(self, config: EtcdConfig) -> None:
        self._config = config
        self._current = 0
        self._token = ""
        self._session: aiohttp.ClientSession | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    async def close(self) -> None:
        """Close all connections, including TLS connections that are still closing, which aiohttp no longer tracks."""
        if self._session is None:
            return
        await self._session.close()
        left = [one for one in self._sockets if one.fileno() >= 0]
        for one in left:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for _ in range(_CLOSING_LOOKS):
            if all(one.fileno() < 0 for one in left):
                return
            await asyncio.sleep(0.01)

    async def grant(self, seconds: int) -> int:
        """Create a lease and return its id; raises EtcdUnavailable, like every call here."""
        return int((await self._call("/v3/lease/grant", {"TTL": str(seconds)}))["ID"])

    async def keep_alive(self, lease: int) -> bool:
        """Renew a lease; return False if it has expired."""
        answer = await self._call("/v3/lease/keepalive", {"ID": str(lease)})
        return int(answer.get("result", {}).get("TTL", 0)) > 0

    async def revoke(self, lease: int) -> None:
        """Revoke a lease, which deletes its keys."""
        await self._call("/v3/lease/revoke", {"ID": str(lease)})

    async def put(self, key: str, value: bytes, lease: int = 0) -> None:
        """Set a key; with a lease, the key is deleted when the lease expires."""
        body = {"key": _encode(key.encode()), "value": _encode(value), "lease": str(lease)}
        await self._call("/v3/kv/put", body)

    async def delete(self, key: str) -> None:
        await self._call("/v3/kv/deleterange", {"key": _encode(key.encode())})

    async def under(self, prefix: str) -> Listing:
        """Return the keys that begin with `prefix`, with their values; without a quorum, those of one member."""
        try:
            answer, stale = await self._call("/v3/kv/range", _range(prefix), _QUORUM_PATIENCE), False
        except EtcdRefused:
            raise
        except EtcdUnavailable:
            answer, stale = await self._call("/v3/kv/range", {**_range(prefix), "serializable": True}), True
        found = {_decode(one["key"]).decode(): _decode(one.get("value", "")) for one in answer.get("kvs", [])}
        return Listing(found, int(answer["header"]["revision"]), stale)

    async def check(self, prefix: str) -> None:
        """Read with a quorum, below a prefix, and discard the result."""
        await self._call("/v3/kv/range", {**_range(prefix), "count_only": True}, _QUORUM_PATIENCE)

    async def watch(self, prefix: str, revision: int) -> AsyncIterator[Change]:
        """Yield the changes under `prefix` after `revision`; raises EtcdUnavailable if the watch fails.

        It ends when nothing has changed for a while; the caller then lists the keys and watches again.
        """
        body = {"create_request": {**_range(prefix), "start_revision": str(revision + 1)}}
        try:
            async with self._post("/v3/watch", body, _WATCH_TIMEOUT) as response:
                await self._check(response)
                async for line in _lines(response.content):
                    result = msgspec.json.decode(line).get("result", {})
                    if result.get("canceled"):
                        raise EtcdUnavailable(f"the watch was cancelled: {result.get('cancel_reason', '')}")
                    for event in result.get("events", []):
                        pair = event["kv"]
                        deleted = event.get("type") == "DELETE"
                        yield Change(_decode(pair["key"]).decode(), None if deleted else _decode(pair.get("value", "")))
        except aiohttp.SocketTimeoutError:
            return
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            self._next()
            raise EtcdUnavailable(f"watching {prefix}: {describe(error)}") from error

    async def _call(
        self, path: str, body: dict[str, Any], patience: aiohttp.ClientTimeout = _TIMEOUT
    ) -> dict[str, Any]:
        """Send a request to the members in turn until one answers."""
        failure: Exception = TimeoutError()
        for _ in range(len(self._config.urls) + 1):
            try:
                if self._config.username and not self._token:
                    await self._authenticate()
                async with self._post(path, body, patience) as response:
                    await self._check(response)
                    answer: dict[str, Any] = msgspec.json.decode(await response.read())
                    return answer
            except EtcdRefused as error:
                failure = error
                if self._token:
                    break
            except (EtcdUnavailable, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                failure = error
                self._next()
        kind = EtcdRefused if isinstance(failure, EtcdRefused) else EtcdUnavailable
        raise kind(f"{path}: {describe(failure)}") from failure

    async def _authenticate(self) -> None:
        body = {"name": self._config.username, "password": self._config.password}
        async with self._post("/v3/auth/authenticate", body, _TIMEOUT) as response:
            await self._check(response)
            self._token = str(msgspec.json.decode(await response.read()).get("token", ""))

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 300:
            return
        said = (await response.text())[:200]
        if response.status == _UNAUTHENTICATED or _OUTDATED in said:
            self._token = ""
        kind = EtcdRefused if response.status < 500 else EtcdUnavailable
        raise kind(f"status {response.status}: {said}")

    def _post(
        self, path: str, body: dict[str, Any], timeout: aiohttp.ClientTimeout
    ) -> "aiohttp.client._RequestContextManager":
        url = self._config.urls[self._current % len(self._config.urls)].rstrip("/") + path
        headers = {"Authorization": self._token} if self._token else {}
        return self._opened().post(url, data=msgspec.json.encode(body), headers=headers, timeout=timeout)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if self._config.ca_file is not None:
                context = ssl.create_default_context(cafile=str(self._config.ca_file))
            connector = aiohttp.TCPConnector(ssl=context, socket_factory=self._socket)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    def _next(self) -> None:
        self._current += 1


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; raises ValueError for one that is too long, ConnectionError when the stream ends."""
    buffered = bytearray()
    async for chunk in content.iter_any():
        buffered += chunk
        while (end := buffered.find(b"\n")) >= 0:
            line, buffered = bytes(buffered[:end]), buffered[end + 1 :]
            yield line
        if len(buffered) > _MAX_LINE:
            raise ValueError("a line of the watch is too long")
        await asyncio.sleep(0)
    raise ConnectionError("the stream ended")


def _range(prefix: str) -> dict[str, Any]:
    """Return the end of the range of keys that begin with `prefix`: `prefix` with its last byte plus one."""
    start = prefix.encode()
    return {"key": _encode(start), "range_end": _encode(start[:-1] + bytes([start[-1] + 1]))}


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text)
