"""WebSockets to nodes that keep the node's handshake headers, which aiohttp drops."""

from typing import Any, Literal

import aiohttp

from sfu.api.registration import BOOT_HEADER


class NodeSocket(aiohttp.ClientWebSocketResponse[Literal[True]]):
    """`boot` identifies the process that accepted the connection; empty if it did not report one."""

    def __init__(
        self, reader: Any, writer: Any, protocol: str | None, response: aiohttp.ClientResponse, *more: Any, **named: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *more, **named)
        self.boot = response.headers.get(BOOT_HEADER, "")
