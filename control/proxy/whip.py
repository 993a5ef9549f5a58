"""WHIP (RFC 9725) and WHEP through to the node, bodies bounded, resource locations made ours."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
from quart import Quart, Response, request

from control.answer_body import read_body
from control.problem import Problem
from control.proxy.routing import node_for, room_of_path
from control.services import Services

_MAX_BODY = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Accept", "If-Match", "If-None-Match")
_ANSWER_HEADERS = ("Content-Type", "ETag", "Accept-Patch", "Accept-Post", "Retry-After", "WWW-Authenticate")
METHODS = ["GET", "POST", "PATCH", "DELETE", "OPTIONS"]
_EVENTS_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=3)


def install(app: Quart, services: Services) -> None:
    """Add `/whip` and `/whep` and everything below them."""

    async def forward(rest: str = "") -> Response:
        return await _forward(services)

    for prefix in ("/whip", "/whep"):
        for rule in (prefix, f"{prefix}/<path:rest>"):
            app.add_url_rule(rule, f"proxy {rule}", forward, methods=METHODS, provide_automatic_options=False)


async def _forward(services: Services) -> Response:
    if request.method == "OPTIONS" and "Authorization" not in request.headers:
        # CORS preflight carries no token, so there is no node to ask.
        return _cors(Response("", 204, {"Accept-Post": "application/sdp"}))
    if request.method == "GET" and "/events/" in request.path:
        return await _events(services)
    body = await request.get_data()
    if len(body) > _MAX_BODY:
        raise Problem(413, "too_large", f"The body must not exceed {_MAX_BODY} bytes.")
    node = await node_for(services, "", request.headers.get("Authorization", ""))
    headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
    path = request.full_path.rstrip("?")
    try:
        async with services.http.request(
            request.method,
            node.http_url + path,
            data=body or None,
            headers=headers,
            timeout=_TIMEOUT,
            allow_redirects=False,
        ) as answer:
            content = await read_body(answer, _MAX_BODY)
            kept = {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
            links = answer.headers.getall("Link", [])
            if links:
                kept["Link"] = ", ".join(links)
            location = answer.headers.get("Location")
            if location is not None:
                kept["Location"] = _own(location)
            return _cors(Response(content, answer.status, kept))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(502, "node_unreachable", "The media server does not answer.") from error


async def _events(services: Services) -> Response:
    """Pass a player's server-sent events on as they come: EventSource sends no token, so the path names the room."""
    node = await node_for(services, room_of_path(request.path))
    try:
        answer = await services.http.get(node.http_url + request.path, timeout=_EVENTS_TIMEOUT, allow_redirects=False)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(502, "node_unreachable", "The media server does not answer.") from error

    async def events() -> AsyncIterator[bytes]:
        async with answer:
            with contextlib.suppress(aiohttp.ClientError):
                async for chunk in answer.content.iter_any():
                    yield chunk

    response = Response(events(), answer.status, {"Content-Type": answer.headers.get("Content-Type", "")})
    response.headers["Cache-Control"] = "no-cache"
    response.timeout = None
    return _cors(response)


def _own(location: str) -> str:
    """Return a resource's path and query: on our own origin, whatever address the node gave."""
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _cors(response: Response) -> Response:
    """WHIP players run on other origins; the bearer token, not a cookie, is what admits them."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = ", ".join(METHODS)
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
    response.headers["Access-Control-Expose-Headers"] = "Location, ETag, Link, Accept-Patch, Accept-Post"
    return response
