"""Public application: REST, the page, and the proxies to the sfu."""

from typing import Any

import msgspec
from quart import Quart, Response

from control import endpoint, openapi, pages
from control.api import (
    account_security,
    accounts,
    activities,
    addresses,
    administration,
    admissions,
    ai,
    ai_setup,
    breakouts,
    broadcast_images,
    broadcasts,
    caption_edits,
    caption_translations,
    chatting,
    health,
    inventory,
    invitations,
    joining,
    live,
    live_settings,
    livekit_keys,
    lobby,
    media,
    meetings,
    metadata,
    minutes,
    network_tests,
    notifications,
    older_paths,
    oversight,
    participants,
    passkeys,
    phones,
    proofs,
    quality,
    recordings,
    second_factor,
    shared_document,
    sharing,
    signed_links,
    single_sign_on,
    stream_keys,
    transcript,
    transports,
    usage,
    webhooks,
)
from control.auth import cross_origin
from control.auth.access import Access
from control.endpoint import Call, Endpoint, Endpoints
from control.http import handshakes, request_metrics, request_traces
from control.http.asgi import Receive, Scope, Send
from control.http.problem_handlers import handle_problems
from control.http.upload_body import PacedConnection, StreamingRequest
from control.proxy import livekit, whip
from control.proxy.routing import LIVEKIT_PATHS, SIGNALING_PATH
from control.proxy.signaling import SignalingProxy
from control.release import release
from control.scim import routes as scim_routes
from control.services import Services
from control.twirp import routes, workers
from control.twirp.workers import AgentDoor

_MAX_BODY = 5 * 1024 * 1024 + 1

description = Endpoints("operation")


@description.route("GET", "/api/v1/openapi.json", Access.PUBLIC, content_type="application/json")
async def get_openapi(call: Call) -> Response:
    """Return this OpenAPI document."""
    return Response(msgspec.json.encode(openapi_document()), content_type="application/json")


def declared_endpoints() -> list[Endpoint]:
    """Return every REST endpoint."""
    areas = (
        accounts.accounts,
        account_security.endpoints,
        addresses.endpoints,
        notifications.endpoints,
        proofs.endpoints,
        administration.endpoints,
        inventory.endpoints,
        oversight.endpoints,
        usage.endpoints,
        livekit_keys.endpoints,
        media.endpoints,
        meetings.endpoints,
        metadata.endpoints,
        minutes.endpoints,
        invitations.endpoints,
        joining.endpoints,
        network_tests.endpoints,
        admissions.endpoints,
        lobby.endpoints,
        breakouts.endpoints,
        activities.endpoints,
        shared_document.endpoints,
        participants.endpoints,
        recordings.endpoints,
        transcript.endpoints,
        caption_translations.endpoints,
        chatting.endpoints,
        webhooks.endpoints,
        second_factor.endpoints,
        passkeys.endpoints,
        sharing.endpoints,
        caption_edits.endpoints,
        signed_links.of_media,
        signed_links.of_recordings,
        stream_keys.endpoints,
        phones.endpoints,
        broadcasts.endpoints,
        broadcast_images.endpoints,
        transports.endpoints,
        single_sign_on.endpoints,
        ai.endpoints,
        ai_setup.endpoints,
        live.endpoints,
        live_settings.endpoints,
        quality.endpoints,
        live.administration,
        older_paths.endpoints,
        older_paths.of_recordings,
        older_paths.of_administration,
        health.endpoints,
        description,
    )
    return [declared for area in areas for declared in area.declared]


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document; the command line uses it too."""
    return openapi.document(declared_endpoints(), release())


class Application:
    """ASGI: HTTP goes to Quart, the signaling WebSocket to its proxy, any other WebSocket is refused."""

    def __init__(self, services: Services) -> None:
        self.quart = _create_quart(services)
        self.signaling = SignalingProxy(services)
        self.agents = AgentDoor(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.quart(scope, receive, send)  # type: ignore[arg-type]  # Quart's scopes are TypedDicts
        elif scope["path"] in (SIGNALING_PATH, *LIVEKIT_PATHS):
            await self.signaling(scope, receive, send)
        elif scope["path"] == workers.PATH:
            await self.agents(scope, receive, send)
        else:
            await receive()
            await handshakes.refuse(scope, send, 404, "not_found", "There is no WebSocket here.\n")


def _create_quart(services: Services) -> Quart:
    app = Quart("control", static_folder=None)
    app.request_class = StreamingRequest
    app.asgi_http_class = PacedConnection
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.config["BODY_TIMEOUT"] = 30
    handle_problems(app)
    request_metrics.install(app)
    request_traces.install(app)
    cross_origin.install(app, services.config)
    endpoint.install(app, services, declared_endpoints())
    whip.install(app, services)
    livekit.install(app, services)
    routes.install(app, services)
    scim_routes.install(app, services)
    pages.install(app, services)

    @app.after_request
    async def secure(response: Response) -> Response:
        for name, value in pages.COMMON_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
