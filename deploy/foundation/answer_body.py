"""Bodies of responses from other servers, read completely but bounded."""

import aiohttp


async def read_body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, truncated after `limit` bytes.

    aiohttp's own `read(limit)` returns only what has arrived so far, often just the first segment.
    """
    body = bytearray()
    while len(body) < limit and (chunk := await answer.content.read(limit - len(body))):
        body += chunk
    return bytes(body)
