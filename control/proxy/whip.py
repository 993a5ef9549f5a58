"""Proxy of WHIP (RFC 9725) and WHEP to the node: it limits bodies and rewrites resource locations to this origin.

Only known paths are forwarded, and the node's URL is built from the parsed path, not from the raw one.
"""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
from quart import Quart, Response, request

from control.problem import Problem, not_found
from control.proxy.routing import NO_NODE, node_for
from control.services import Services
from foundation.answer_body import read_body
from sfu.api import session_paths
from sfu.api.registration import NodeRecord
from sfu.api.session_paths import Kind, SessionPath

_MAX_BODY = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Accept", "If-Match", "If-None-Match")
_ANSWER_HEADERS = ("Content-Type", "ETag", "Accept-Patch", "Accept-Post", "Retry-After", "WWW-Authenticate")
_EVENTS_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=3)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# Players run on other origins. They are admitted by a bearer token, not by a cookie.
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch, Accept-Post",
}
_PREFIXES = ("/whip", "/whep")


def install(app: Quart, services: Services) -> None:
    """Add `/whip`, `/whep` and all paths below them."""

    async def forward(rest: str = "") -> Response:
        return await _forward(services)

    for prefix in _PREFIXES:
        for rule in (prefix, f"{prefix}/<path:rest>"):
            app.add_url_rule(rule, f"proxy {rule}", forward, methods=_METHODS, provide_automatic_options=False)

    @app.after_request
    async def share(response: Response) -> Response:
        """Add CORS headers to refusals too; otherwise, browsers replace them with a generic error."""
        if request.path.startswith(_PREFIXES):
            response.headers.update(_CORS)
        return response


async def _forward(services: Services) -> Response:
    path = _understood()
    if request.method == "OPTIONS":
        return Response("", 204, path.accepted)  # a preflight request has no token, so its node is unknown
    if path.kind is Kind.EVENT_STREAM:
        return await _events(services, path)
    body = await request.get_data()
    if len(body) > _MAX_BODY:
        raise Problem(413, "too_large", f"The body must not exceed {_MAX_BODY} bytes.")
    node = await _node_of_token(services)
    headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    url = f"{node.http_url}{path}{query}"
    try:
        async with services.parts_http.request(
            request.method, url, data=body or None, headers=headers, timeout=_TIMEOUT, allow_redirects=False
        ) as answer:
            return await _passed_on(answer)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(502, "node_unreachable", "The media server is not answering.") from error


def _understood() -> SessionPath:
    """Return the parsed path of the request; raises Problem 404, or 405 for a method that it does not support."""
    try:
        path = session_paths.parse(request.scope["raw_path"].decode("latin-1"))
    except ValueError as error:
        raise not_found() from error
    if request.method not in path.allowed:
        raise Problem(
            405, "method_not_allowed", "This method is not supported here.", {"Allow": ", ".join(path.allowed)}
        )
    return path


async def _passed_on(answer: aiohttp.ClientResponse) -> Response:
    """Return a node's response as this server's."""
    content = await read_body(answer, _MAX_BODY)
    kept = {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
    links = answer.headers.getall("Link", [])
    if links:
        kept["Link"] = ", ".join(links)
    location = answer.headers.get("Location")
    if location is not None:
        kept["Location"] = _own(location)
    return Response(content, answer.status, kept)


async def _node_of_token(services: Services) -> NodeRecord:
    """Return the node of the room in the bearer token, which the node verifies. Raises Problem 401 without a token."""
    try:
        return await node_for(services, "", request.headers.get("Authorization", ""))
    except Problem as problem:
        if problem.code != NO_NODE:
            raise
        detail = "A join token is required as the bearer token."
        raise Problem(401, "bad_token", detail, {"WWW-Authenticate": "Bearer"}) from problem


async def _events(services: Services, path: SessionPath) -> Response:
    """Forward a player's server-sent events as they arrive. EventSource sends no token, so the room is in the path."""
    node = await node_for(services, path.room)
    try:
        answer = await services.parts_http.get(f"{node.http_url}{path}", timeout=_EVENTS_TIMEOUT, allow_redirects=False)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(502, "node_unreachable", "The media server is not answering.") from error

    async def events() -> AsyncIterator[bytes]:
        async with answer:
            with contextlib.suppress(aiohttp.ClientError):
                async for chunk in answer.content.iter_any():
                    yield chunk

    response = Response(events(), answer.status, {"Content-Type": answer.headers.get("Content-Type", "")})
    response.headers["Cache-Control"] = "no-cache"
    response.timeout = None
    return response


def _own(location: str) -> str:
    """Return a resource's path and query, relative to this origin, without the node's address."""
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")
