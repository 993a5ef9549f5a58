"""Receives signed events, each once: `python webhook_receiver.py SERVER PUBLIC_URL PORT`.

The key needs the scope `webhooks:write`. PUBLIC_URL is the address under which the server reaches this program.
"""

import asyncio
import os
import sys
from typing import Any

from aiohttp import web

from parley_client import Api
from parley_client.webhooks import BadSignature, Seen, verify


class Receiver:
    """An HTTP server with a queue of `events`. Keep the seen ids in a database if a restart must not repeat events."""

    def __init__(self) -> None:
        self.secret = ""
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._seen = Seen()

    async def receive(self, request: web.Request) -> web.Response:
        """Put an event into the queue and respond at once; slow work belongs behind the queue."""
        try:
            event = verify(self.secret, request.headers.get("X-Parley-Signature", ""), await request.read())
        except BadSignature:
            return web.Response(status=403)
        if self._seen.add(event["id"]):
            self.events.put_nowait(event)
        return web.Response(status=204)


async def main(server: str, key: str, url: str, port: int, *, kind: str = "*", wanted: int = 1_000_000) -> list[str]:
    """Print events until there are `wanted` of them; return their kinds."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.receive)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    kinds: list[str] = []
    try:
        async with Api(server, bearer=key) as api:
            made = await api.rest.create_webhook({"url": url, "kinds": [kind]})
            receiver.secret = made["secret"] or ""
            try:
                await api.rest.send_test_event(made["id"])
                while len(kinds) < wanted:
                    event = await receiver.events.get()
                    print(event["kind"], event["data"])
                    kinds.append(event["kind"])
            finally:
                await api.rest.delete_webhook(made["id"])
    finally:
        await runner.cleanup()
    return kinds


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ["PARLEY_API_KEY"], sys.argv[2], int(sys.argv[3])))
