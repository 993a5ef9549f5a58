"""The API of WHEP players: choice of layers, and events about which m-sections show something.

These are the extensions of draft-murillo-whep (sections 4.6.1 and 4.6.2) for simulcast players. POST on the `layer`
link selects an encoding of a track, and GET lists the choices. POST on the `events` link names events and returns the
address of a stream of them, as server-sent events (text/event-stream). Only this unguessable address protects the
stream, since EventSource sends no headers.
"""

import asyncio
import contextlib
import hmac
import secrets
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from sfu.api.refusal import Code, Refused
from sfu.api.session_paths import Kind
from sfu.peers.layers.layer_options import ALL_LAYERS, ONE_LAYER, Layer, share_of
from sfu.peers.subscribe.whep_player import Encoding, WhepPlayer
from sfu.server.driver import Driver
from sfu.server.standalone_answers import CORS, add_manners, body_text, problem
from sfu.server.standalone_api import Resource, StandaloneApi

_MAX_BYTES = 16 * 1024
_LOOK_SECONDS = 1.0
_KEEP_ALIVE_LOOKS = 15
_MAX_LISTENING = 4
"""The maximum number of event streams of a session, since each is checked every second."""


_LayerId = Annotated[int, msgspec.Meta(ge=0, le=7)]


class Selection(msgspec.Struct, frozen=True, rename="camel"):
    """The encoding to show on an m-section, by default the first video's. Without an encoding id the server chooses.

    Layers of the encoding above the given ones are not shown, nor any that the link cannot carry.
    """

    media_id: str | None = None
    encoding_id: str | None = None
    spatial_layer_id: _LayerId | None = None
    temporal_layer_id: _LayerId | None = None
    max_spatial_layer_id: _LayerId | None = None
    max_temporal_layer_id: _LayerId | None = None

    @property
    def highest(self) -> Layer:
        """The highest layer to show."""
        spatial = (self.spatial_layer_id, self.max_spatial_layer_id, ALL_LAYERS.spatial)
        temporal = (self.temporal_layer_id, self.max_temporal_layer_id, ALL_LAYERS.temporal)
        return Layer(*(min(entry for entry in asked if entry is not None) for asked in (spatial, temporal)))


class PlayerApi:
    """The resources below a WHEP session."""

    def __init__(self, driver: Driver, sessions: StandaloneApi) -> None:
        self._driver = driver
        self._sessions = sessions

    def add_to(self, router: web.UrlDispatcher) -> None:
        base = "/whep/{room}/{resource}"
        router.add_get(f"{base}/layer", self._layers, allow_head=False)
        router.add_post(f"{base}/layer", self._select)
        add_manners(router, f"{base}/layer", Kind.LAYER)
        router.add_post(f"{base}/events", self._subscribe)
        add_manners(router, f"{base}/events", Kind.EVENTS)
        router.add_get(f"{base}/events/{{key}}", self._events, allow_head=False)
        add_manners(router, f"{base}/events/{{key}}", Kind.EVENT_STREAM)

    def _whep_player(self, request: web.Request) -> tuple[Resource, WhepPlayer] | web.Response:
        resource = self._sessions.owned(request)
        if isinstance(resource, web.Response):
            return resource
        whep_player = resource.membership.participant.whep_player
        return (resource, whep_player) if whep_player is not None else _gone()

    async def _layers(self, request: web.Request) -> web.StreamResponse:
        found = self._whep_player(request)
        if isinstance(found, web.Response):
            return found
        return web.json_response(_described(found[1].layers(self._driver.now())), headers=CORS)

    async def _select(self, request: web.Request) -> web.StreamResponse:
        found = self._whep_player(request)
        if isinstance(found, web.Response):
            return found
        resource, whep_player = found
        try:
            wish = msgspec.json.decode(await body_text(request, _MAX_BYTES), type=Selection)
        except (ValueError, Refused) as error:
            return problem(400, Code.BAD_MESSAGE.value, f"The selection cannot be read: {error}.")
        now = self._driver.now()
        try:
            whep_player.select(wish.media_id, wish.encoding_id, now, wish.highest)
        except LookupError as unknown:
            return problem(404, f"unknown_{unknown.args[0]}", f"There is no such {unknown.args[0]}.")
        resource.membership.room.adaptation.hurry(now)
        self._driver.node.settle(now)
        self._driver.flush()
        return web.Response(status=200, headers=CORS)

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        found = self._whep_player(request)
        if isinstance(found, web.Response):
            return found
        try:
            body = await body_text(request, _MAX_BYTES)
            msgspec.json.decode(body or "[]", type=list[Literal["active", "inactive", "layers", "viewercount"]])
        except (ValueError, Refused) as error:
            return problem(400, Code.BAD_MESSAGE.value, f"Events are listed by name: {error}.")
        found[0].events = found[0].events or secrets.token_urlsafe(16)
        return web.Response(status=201, headers={"Location": f"{request.path}/{found[0].events}", **CORS})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send changes, checked once a second, until the player or the session ends."""
        resource = self._sessions.find(request)
        given = request.match_info["key"]
        if resource is None or not resource.events or not hmac.compare_digest(given.encode(), resource.events.encode()):
            return problem(404, "unknown_resource", "There is no such session.")
        if resource.listening >= _MAX_LISTENING:
            return problem(429, Code.TOO_MANY_REQUESTS.value, "This session has too many event streams already.")
        resource.listening += 1
        try:
            return await self._tell(request, resource)
        finally:
            resource.listening -= 1

    async def _tell(self, request: web.Request, resource: Resource) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers | CORS)
        await response.prepare(request)
        told: dict[str, bytes] = {}
        looks = 0
        with contextlib.suppress(ConnectionError):
            while self._sessions.find(request) is resource and (
                whep_player := resource.membership.participant.whep_player
            ):
                if request.transport is None:  # the reader has left, which a write would notice only later
                    break
                for event, data in self._state(whep_player).items():
                    text = msgspec.json.encode(data)
                    if told.get(event) != text:
                        told[event] = text
                        await response.write(b"event: " + event.encode() + b"\ndata: " + text + b"\n\n")
                if looks % _KEEP_ALIVE_LOOKS == _KEEP_ALIVE_LOOKS - 1:
                    await response.write(b": \n\n")
                looks += 1
                await asyncio.sleep(_LOOK_SECONDS)
        return response

    def _state(self, whep_player: WhepPlayer) -> dict[str, dict[str, Any]]:
        layers = whep_player.layers(self._driver.now())
        # Rates change all the time; an event is sent only when the choices or the selection change.
        coarse = {mid: [entry._replace(bits_per_second=0) for entry in encodings] for mid, encodings in layers.items()}
        shown = sorted(whep_player.shows())
        return {"active" if shown else "inactive": {"media": shown}, "layers": _described(coarse)}


def _described(layers: dict[str, list[Encoding]]) -> dict[str, Any]:
    """Return the draft's `layers`: active and inactive encodings by m-section."""
    return {
        mid: {
            "active": [_encoding(entry) for entry in encodings if entry.is_active],
            "inactive": [{"id": entry.encoding} for entry in encodings if not entry.is_active],
            "layers": [layer for entry in encodings if entry.is_active for layer in _layers_of(entry)],
            "shown": next((entry.encoding for entry in encodings if entry.is_shown), None),
        }
        for mid, encodings in layers.items()
    }


def _layers_of(entry: Encoding) -> list[dict[str, Any]]:
    """Return one entry for each selectable layer, with the cost of it and all layers below."""
    if entry.layers == ONE_LAYER:
        return [{"encodingId": entry.encoding, "bitrate": entry.bits_per_second}]
    return [
        {
            "encodingId": entry.encoding,
            "spatialLayerId": spatial,
            "temporalLayerId": temporal,
            "bitrate": int(entry.bits_per_second * share_of(entry.layers, Layer(spatial, temporal))),
        }
        for spatial in range(entry.layers.spatial)
        for temporal in range(entry.layers.temporal)
    ]


def _encoding(entry: Encoding) -> dict[str, Any]:
    return {"id": entry.encoding, "bitrate": entry.bits_per_second}


def _gone() -> web.Response:
    return problem(404, "unknown_resource", "There is no such session.")
