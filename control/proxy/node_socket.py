"""WebSockets to nodes, with what a node said of itself in the handshake: aiohttp keeps none of that."""

from typing import Any, Literal

import aiohttp

from sfu.api.registration import BOOT_HEADER


class NodeSocket(aiohttp.ClientWebSocketResponse[Literal[True]]):
    """`boot` names the process that took the connection; empty where it did not say so."""

    def __init__(
        self, reader: Any, writer: Any, protocol: str | None, response: aiohttp.ClientResponse, *more: Any, **named: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *more, **named)
        self.boot = response.headers.get(BOOT_HEADER, "")
