"""Common parts of WHIP and WHEP requests and responses: tokens, bodies, refusals, cross-origin access."""

from collections.abc import Mapping

from aiohttp import web

from sfu.api.refusal import Code, Refused
from sfu.api.session_paths import ACCEPTED, ALLOWED, Kind

_UNAUTHORIZED = frozenset({Code.BAD_TOKEN, Code.EXPIRED_TOKEN, Code.REPLAYED_TOKEN, Code.FOREIGN_TOKEN})
_STATUS = {
    Code.OFFER_REFUSED: 400,
    Code.FULL: 503,
    Code.NOT_READY: 503,
    Code.TOO_MANY_REQUESTS: 429,
    Code.MESSAGE_TOO_LARGE: 413,
    Code.BAD_MESSAGE: 400,
}
# Pages of other origins may publish and play, since only a bearer token admits, never a cookie.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch, Accept-Post",
}


def problem(status: int, code: str, detail: str, more: Mapping[str, str] | None = None) -> web.Response:
    """Return a refusal as problem+json."""
    headers = CORS | dict(more or {})
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {"code": code, "detail": detail, "status": status}
    return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)


def add_manners(router: web.UrlDispatcher, path: str, kind: Kind) -> None:
    """Answer OPTIONS on `path`, after its other routes have been added, and refuse other methods."""
    allowed = {"Allow": ", ".join(ALLOWED[kind])}

    async def tell(request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers={**ACCEPTED[kind], **CORS})

    async def refuse(request: web.Request) -> web.StreamResponse:
        return problem(405, "method_not_allowed", "This method is not supported here.", allowed)

    router.add_options(path, tell)
    router.add_route("*", path, refuse)


def refusal(refused: Refused) -> web.Response:
    """Return the response for a refusal by the rooms."""
    status = 401 if refused.code in _UNAUTHORIZED else _STATUS.get(refused.code, 403)
    more = {"Retry-After": "1"} if refused.code is Code.NOT_READY else None
    return problem(status, refused.code.value, refused.detail, more)


def bearer(request: web.Request) -> str:
    """Return the bearer token, which is ASCII (RFC 6750); raises Refused if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise Refused(Code.BAD_TOKEN, "A bearer token is required.", fatal=True)
    return token.strip()


async def body_text(request: web.Request, limit: int) -> str:
    """Return the body; raises Refused if it exceeds `limit` bytes or is not UTF-8."""
    data = await request.content.read(limit + 1)
    while len(data) <= limit and not request.content.at_eof():
        data += await request.content.read(limit + 1 - len(data))
    if len(data) > limit:
        raise Refused(Code.MESSAGE_TOO_LARGE, "The body is too large.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(Code.OFFER_REFUSED, "The body is not UTF-8.") from error
