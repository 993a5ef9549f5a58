"""Control's requests about the node itself: its state, the cost of its rooms, and draining."""

import msgspec
from aiohttp import web

from sfu.api.registration import DrainWish, encode_record
from sfu.server.http_api import HttpApi
from sfu.server.presence import Presence


def add_to(http: HttpApi, presence: Presence) -> None:
    """Add `/node/v1/status`, `/node/v1/load` and `/node/v1/drain`."""

    async def status(request: web.Request) -> web.StreamResponse:
        return web.Response(body=encode_record(presence.record()), content_type="application/json")

    async def drain(request: web.Request) -> web.StreamResponse:
        try:
            wish = msgspec.json.decode(await request.read(), type=DrainWish)
        except ValueError as error:
            return web.json_response({"code": "bad_message", "detail": str(error)}, status=400)
        if wish.draining:
            presence.drain(wish.grace_seconds)
        else:
            presence.undrain()
        return await status(request)

    http.add_private("GET", "/node/v1/status", status)

    async def load(request: web.Request) -> web.StreamResponse:
        return web.Response(body=msgspec.json.encode(presence.room_loads()), content_type="application/json")

    http.add_private("GET", "/node/v1/load", load)
    http.add_private("PUT", "/node/v1/drain", drain)
