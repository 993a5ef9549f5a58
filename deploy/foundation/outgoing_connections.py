"""Connections to addresses that users supply: each address is checked before anything is sent to it."""

import asyncio
import socket
import ssl

from foundation.addresses import ForbiddenAddress, is_public

CONNECT_SECONDS = 8.0
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(host: str, port: int, *, tls: bool, private: bool) -> _Streams:
    """Connect to the first address of a host that answers. Raises OSError and TimeoutError."""
    failed: OSError = OSError("The host name has no address.")
    for address in await allowed_addresses(host, port, private=private):
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(
                    address,
                    port,
                    ssl=ssl.create_default_context() if tls else None,
                    server_hostname=host if tls else None,
                )
        except OSError as error:
            failed = error
    raise failed


async def allowed_addresses(host: str, port: int, *, private: bool) -> list[str]:
    """Return the addresses of a host that the server may connect to, at least one. Raises OSError and TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    allowed = [address for address in addresses if private or is_public(address)]
    if not allowed:
        raise ForbiddenAddress("This address is not on the public internet.")
    return allowed
