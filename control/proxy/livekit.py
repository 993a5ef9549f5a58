"""Validation of LiveKit's access tokens. It tells SDKs why a WebSocket was refused, which browsers do not."""

from quart import Quart, Response, request

from control.problem import Problem
from control.proxy.routing import node_of_livekit
from control.services import Services
from sfu.api.livekit import access_token
from sfu.livekit import parameters

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization",
}


def install(app: Quart, services: Services) -> None:
    """Add `/rtc/validate` and `/rtc/v1/validate`."""

    async def validate() -> Response:
        if request.method == "OPTIONS":
            return Response("", 204, _CORS)
        query, authorization = request.query_string.decode("latin-1"), request.headers.get("Authorization", "")
        try:
            await node_of_livekit(services, access_token(query, authorization))
            parameters.read(query, needs_join=request.path in parameters.JOIN_REQUEST_VALIDATION_PATHS)
        except Problem as problem:
            return Response(problem.detail, problem.status, _CORS, content_type="text/plain")
        except ValueError as error:
            return Response(str(error), 400, _CORS, content_type="text/plain")
        return Response("success", 200, _CORS, content_type="text/plain")

    async def unknown() -> Response:
        return Response("404 page not found\n", 404, _CORS, content_type="text/plain")

    methods = ["GET", "OPTIONS"]
    for path in (*parameters.VALIDATION_PATHS, *parameters.JOIN_REQUEST_VALIDATION_PATHS):
        app.add_url_rule(path, f"livekit {path}", validate, methods=methods, provide_automatic_options=False)
    for path in ("/rtc", "/rtc/v1"):
        app.add_url_rule(path, f"livekit {path}", unknown, methods=methods, provide_automatic_options=False)
