"""CORS (Fetch standard) for REST: pages of listed origins may call it with bearer tokens, never with cookies."""

from quart import Quart, Request, Response, request

from control.auth import origins
from control.config import ControlConfig

_REST = "/api/v1/"
_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Range",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, RateLimit-Limit, RateLimit-Remaining,"
    " RateLimit-Reset, Retry-After, traceresponse"
)


def is_listed(config: ControlConfig, incoming: Request) -> bool:
    """Return whether a request is from a page of a listed origin, which is not this server's own."""
    origin = incoming.headers.get("Origin")
    if origin is None or origin not in config.cors_origins:
        return False
    return not origins.is_allowed(origin, incoming.host, incoming.scheme, config.public_origins)


def install(app: Quart, config: ControlConfig) -> None:
    """Answer preflight requests, and let pages of listed origins read responses."""
    if not config.cors_origins:
        return

    @app.before_request
    async def answer_preflight() -> Response | None:
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if asked and request.path.startswith(_REST) and is_listed(config, request):
            return Response("", 204, _ALLOWED)
        return None

    @app.after_request
    async def let_read(response: Response) -> Response:
        if request.path.startswith(_REST):
            response.headers.add("Vary", "Origin")
            if is_listed(config, request):
                response.headers.setdefault("Access-Control-Allow-Origin", request.headers["Origin"])
                response.headers["Access-Control-Expose-Headers"] = _EXPOSED
                response.headers.pop("Set-Cookie", None)  # a foreign page must not sign a browser in
        return response
