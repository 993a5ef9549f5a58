"""Validation of LiveKit's access tokens. It tells SDKs why a WebSocket was refused, which browsers do not."""

from quart import Quart, Response, request

from control.problem import Problem
from control.proxy.routing import livekit_token, node_of_livekit
from control.services import Services

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization",
}


def install(app: Quart, services: Services) -> None:
    """Add `/rtc/validate`. Newer paths return 404, so SDKs fall back to this one."""

    async def validate() -> Response:
        if request.method == "OPTIONS":
            return Response("", 204, _CORS)
        token = livekit_token(request.query_string.decode("latin-1"), request.headers.get("Authorization", ""))
        try:
            await node_of_livekit(services, token)
        except Problem as problem:
            return Response(problem.detail, problem.status, _CORS, content_type="text/plain")
        return Response("success", 200, _CORS, content_type="text/plain")

    async def unknown() -> Response:
        return Response("404 page not found\n", 404, _CORS, content_type="text/plain")

    methods = ["GET", "OPTIONS"]
    for path in ("/rtc/validate", "/rtc/validate/"):
        app.add_url_rule(path, f"livekit {path}", validate, methods=methods, provide_automatic_options=False)
    for path in ("/rtc", "/rtc/v1", "/rtc/v1/validate"):
        app.add_url_rule(path, f"livekit {path}", unknown, methods=methods, provide_automatic_options=False)
