"""Bodies of answers from other servers, whole and bounded."""

import aiohttp


async def read_body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, cut off behind `limit` bytes.

    aiohttp's own `read(limit)` returns what has come so far: of a body in several segments the first.
    """
    body = bytearray()
    while len(body) < limit and (chunk := await answer.content.read(limit - len(body))):
        body += chunk
    return bytes(body)
