"""The node's HTTP server: node API for control, metrics and health, and the endpoints of `standalone_api`."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from foundation.node_secret import carries_node_secret
from foundation.part_tls import require_certificate
from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.refusal import Refused
from sfu.api.room_acts import Act, Done
from sfu.rooms import acts, chat, statistics
from sfu.server.cascade_links import CascadeLinks
from sfu.server.driver import Driver
from sfu.server.exposition import Pauses, exposition
from sfu.server.first_state import FirstState
from sfu.server.player_api import PlayerApi
from sfu.server.quality_metrics import QualityMetrics
from sfu.server.standalone_api import StandaloneApi
from sfu.server.transports_api import TransportsApi

MAX_BODY_BYTES = 4 * 1024 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpApi:
    """The routes of one node."""

    def __init__(
        self,
        driver: Driver,
        standalone: StandaloneApi,
        registry: CollectorRegistry,
        quality: QualityMetrics,
        node_secret: str,
        *,
        transports: TransportsApi,
        links: CascadeLinks,
        states: FirstState,
    ) -> None:
        self._driver = driver
        self._states = states
        self._registry = registry
        self._quality = quality
        self._secret = node_secret
        self.ready: Callable[[], bool] = lambda: False
        self.app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[require_certificate])
        self.app.router.add_put("/node/v1/rooms/{room}/desired", self._private(self._put_desired))
        self.app.router.add_get("/node/v1/rooms", self._private(self._rooms))
        self.app.router.add_get("/node/v1/rooms/{room}", self._private(self._room))
        self.app.router.add_post("/node/v1/rooms/{room}/chat", self._private(self._chat))
        self.app.router.add_post("/node/v1/rooms/{room}/acts", self._private(self._act))
        self.app.router.add_get("/node/v1/rooms/{room}/statistics", self._private(self._statistics))
        self.app.router.add_get("/node/v1/rooms/{room}/flight", self._private(self._flight))
        collection = "/node/v1/rooms/{room}/transports"
        self.app.router.add_post(collection, self._private(transports.open))
        self.app.router.add_get(collection, self._private(transports.list))
        self.app.router.add_delete(f"{collection}/{{transport}}", self._private(transports.close))
        self.app.router.add_put("/node/v1/rooms/{room}/spill", self._private(links.put_home))
        self.app.router.add_get("/node/v1/rooms/{room}/link", self._private(links.serve))
        self.app.router.add_get("/metrics", self._metrics)
        for path in ("/health", "/health/live"):
            self.app.router.add_get(path, self._live)
        self.app.router.add_get("/health/ready", self._is_ready)
        standalone.add_to(self.app.router)
        PlayerApi(driver, standalone).add_to(self.app.router)

    def add_private(self, method: str, path: str, handler: Handler) -> None:
        """Add a route that only control may call."""
        self.app.router.add_route(method, path, self._private(handler))

    def _private(self, handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if not carries_node_secret(request.headers.get("Authorization", ""), self._secret):
                return web.json_response({"code": "unauthorized", "detail": "The node secret is required."}, status=401)
            return await handler(request)

        return checked

    async def _put_desired(self, request: web.Request) -> web.StreamResponse:
        try:
            desired = msgspec.json.decode(await request.read(), type=DesiredState)
        except ValueError as error:
            return web.json_response({"code": "bad_message", "detail": str(error)}, status=400)
        if desired.room != request.match_info["room"]:
            return web.json_response({"code": "bad_message", "detail": "The document is for another room."}, status=400)
        version = self._driver.node.apply(desired, self._driver.now())
        self._driver.flush()
        if version == 0 and self._states.offer(desired):
            version = desired.version
        if version == 0:
            return web.json_response({"code": "room_not_live", "detail": "The room is not live here."}, status=404)
        return web.json_response({"version": version})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        """Send a chat message that came over REST, and that control has stored, to a room, or to one receiver and the
        sender.
        """
        try:
            said = signaling.decode_client(await request.read())
        except ValueError as error:
            return web.json_response({"code": "bad_message", "detail": str(error)}, status=400)
        room = self._driver.node.rooms.get(request.match_info["room"])
        if room is None or not isinstance(said, signaling.Chat):
            return web.json_response({"code": "room_not_live", "detail": "The room is not live here."}, status=404)
        chat.deliver(room, said)
        self._driver.flush()
        return web.json_response({})

    async def _room(self, request: web.Request) -> web.StreamResponse:
        room = self._driver.node.rooms.get(request.match_info["room"])
        if room is None:
            return web.json_response({"code": "room_not_live", "detail": "The room is not live here."}, status=404)
        return web.Response(body=msgspec.json.encode(acts.view(room)), content_type="application/json")

    async def _act(self, request: web.Request) -> web.StreamResponse:
        """Carry out an application's act in a live room."""
        try:
            asked = msgspec.json.decode(await request.read(), type=Act)
            found = self._driver.node.act(request.match_info["room"], asked, self._driver.now())
        except ValueError as error:
            return web.json_response({"code": "bad_message", "detail": str(error)}, status=400)
        except Refused as refused:
            return web.json_response({"code": refused.code.value, "detail": refused.detail}, status=409)
        self._driver.flush()
        return web.Response(body=msgspec.json.encode(Done(found=found)), content_type="application/json")

    async def _rooms(self, request: web.Request) -> web.StreamResponse:
        rooms = [
            {
                "room": room.room,
                "opened_at": room.opened_unix_ms,
                "version": room.desired.version if room.desired is not None else 0,
                "participants": [msgspec.to_builtins(info) for info in room.infos()],
                "tracks": [msgspec.to_builtins(uptrack.info()) for uptrack in room.uptracks.values()],
            }
            for room in self._driver.node.rooms.values()
        ]
        return web.json_response({"rooms": rooms})

    async def _statistics(self, request: web.Request) -> web.StreamResponse:
        room = self._driver.node.rooms.get(request.match_info["room"])
        if room is None:
            return web.json_response({"code": "room_not_live", "detail": "The room is not live here."}, status=404)
        links = [link.statistics() for link in room.links.values()]
        return web.json_response({"participants": statistics.of_room(room, self._driver.now()), "links": links})

    async def _flight(self, request: web.Request) -> web.StreamResponse:
        room = self._driver.node.rooms.get(request.match_info["room"])
        if room is None:
            return web.json_response({"code": "room_not_live", "detail": "The room is not live here."}, status=404)
        return web.Response(body=room.dump_flight("asked for", self._driver.now()))

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        pauses = Pauses()
        await self._quality.look(pauses)
        text = await exposition(self._registry, pauses)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _live(self, request: web.Request) -> web.StreamResponse:
        """Report that the process is alive, and its step of shedding under overload (machines.shedding); 0 is none."""
        return web.json_response({"status": "ok", "shedding": self._driver.overload.step})

    async def _is_ready(self, request: web.Request) -> web.StreamResponse:
        ready = self.ready()
        return web.json_response({"status": "ok" if ready else "starting"}, status=200 if ready else 503)
