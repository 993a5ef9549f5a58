"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over HTTP: a join token as bearer, one resource per session.

`POST /whip` and `POST /whep` (optionally with the room in the path, which the token must then name) create a resource;
DELETE ends it. Consents, which other clients give by signaling, are given by `?consent=recording,captions`. A resource
answers to the token that made it, which stays good for that beyond its 60 s. PATCH takes trickled candidates
(RFC 8840), which an ICE-lite agent does not need; ICE restarts are not offered (501).
"""

import hashlib
import hmac
import secrets
from collections import Counter
from dataclasses import dataclass

from aiohttp import web

from sfu.api.signaling import Consent
from sfu.rooms.node import Role, Seat
from sfu.rooms.refusal import Code, Refused
from sfu.server.driver import Driver
from sfu.server.key_ring import KeyRing

MAX_SDP_BYTES = 256 * 1024
_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_UNAUTHORIZED = frozenset({Code.BAD_TOKEN, Code.EXPIRED_TOKEN, Code.REPLAYED_TOKEN, Code.FOREIGN_TOKEN})
_STATUS = {
    Code.OFFER_REFUSED: 400,
    Code.FULL: 503,
    Code.TOO_MANY_REQUESTS: 429,
    Code.MESSAGE_TOO_LARGE: 413,
    Code.BAD_MESSAGE: 400,
}


@dataclass(frozen=True, slots=True)
class _Resource:
    role: Role
    seat: Seat
    token_hash: bytes


class StandaloneApi:
    """Resources by id. `refused` counts refusals by code."""

    def __init__(self, driver: Driver, keys: KeyRing) -> None:
        self.refused: Counter[str] = Counter()
        self._driver = driver
        self._keys = keys
        self._resources: dict[str, _Resource] = {}

    def add_to(self, router: web.UrlDispatcher) -> None:
        for role in ("whip", "whep"):
            for path in (f"/{role}", f"/{role}/{{room}}"):
                router.add_post(path, self._create)
                router.add_options(path, self._options)
            resource = f"/{role}/{{room}}/{{resource}}"
            router.add_delete(resource, self._delete)
            router.add_patch(resource, self._patch)
            router.add_options(resource, self._options)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != _SDP:
            return _problem(415, Code.BAD_MESSAGE.value, f"The body must be {_SDP}.")
        try:
            token = _bearer(request)
            sdp = await _body(request)
            claims = await self._keys.admit(token)
            if request.match_info.get("room", claims.room) != claims.room:
                raise Refused(Code.FOREIGN_TOKEN, "The token is for another room.", fatal=True)
            role: Role = "whip" if request.path.startswith("/whip") else "whep"
            consent = _consent(request)
            seat, answer = self._driver.node.stand_alone(claims, role, sdp, consent, self._driver.now())
        except Refused as refused:
            self._driver.flush()
            return self._refuse(refused)
        self._driver.flush()
        self._forget_gone()
        resource = secrets.token_urlsafe(16)
        self._resources[resource] = _Resource(role, seat, _hash(token))
        headers = {
            "Location": f"/{role}/{claims.room}/{resource}",
            "ETag": f'"{secrets.token_hex(8)}"',
            "Accept-Patch": _FRAGMENT,
            **_CORS,
        }
        return web.Response(status=201, text=answer, content_type=_SDP, headers=headers)

    def _forget_gone(self) -> None:
        """Drop resources whose participant is gone, so that they are as bounded as participants are."""
        self._resources = {key: value for key, value in self._resources.items() if _present(value.seat)}

    def _owned(self, request: web.Request) -> tuple[str, _Resource] | web.Response:
        key = request.match_info["resource"]
        resource = self._resources.get(key)
        if resource is None or not _present(resource.seat):
            return _problem(404, "unknown_resource", "There is no such session.")
        try:
            given = _hash(_bearer(request))
        except Refused as refused:
            return self._refuse(refused)
        if not hmac.compare_digest(given, resource.token_hash):
            return self._refuse(Refused(Code.FOREIGN_TOKEN, "The token is not this session's.", fatal=True))
        return key, resource

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        found = self._owned(request)
        if isinstance(found, web.Response):
            return found
        key, resource = found
        del self._resources[key]
        self._driver.node.leave(resource.seat, "left", self._driver.now())
        self._driver.flush()
        return web.Response(status=200, headers=_CORS)

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        found = self._owned(request)
        if isinstance(found, web.Response):
            return found
        if request.content_type != _FRAGMENT:
            return _problem(415, Code.BAD_MESSAGE.value, f"The body must be {_FRAGMENT}.")
        if request.headers.get("If-Match") == "*":
            return _problem(501, "no_ice_restart", "ICE restarts are not offered; make a new session.")
        return web.Response(status=204, headers=_CORS)

    async def _options(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers={"Accept-Post": _SDP, **_CORS})

    def _refuse(self, refused: Refused) -> web.Response:
        self.refused[refused.code.value] += 1
        status = 401 if refused.code in _UNAUTHORIZED else _STATUS.get(refused.code, 403)
        return _problem(status, refused.code.value, refused.detail)


# Pages of other origins may publish and play: a bearer token admits, never a cookie.
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link",
}


def _problem(status: int, code: str, detail: str) -> web.Response:
    headers = dict(_CORS)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {"code": code, "detail": detail, "status": status}
    return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(Code.BAD_TOKEN, "A bearer token is needed.", fatal=True)
    return token.strip()


async def _body(request: web.Request) -> str:
    data = await request.content.read(MAX_SDP_BYTES + 1)
    while len(data) <= MAX_SDP_BYTES and not request.content.at_eof():
        data += await request.content.read(MAX_SDP_BYTES + 1 - len(data))
    if len(data) > MAX_SDP_BYTES:
        raise Refused(Code.MESSAGE_TOO_LARGE, "The offer is too large.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(Code.OFFER_REFUSED, "The offer is not UTF-8.") from error


def _consent(request: web.Request) -> Consent:
    """Return the consents of a publisher without signaling: `?consent=recording,captions,analysis`."""
    given = {part.strip() for part in request.query.get("consent", "").split(",") if part.strip()}
    if given - {"recording", "captions", "analysis"}:
        raise Refused(Code.BAD_MESSAGE, "`consent` lists recording, captions or analysis.")
    said = dict.fromkeys(given, True)
    return Consent(text="whip", **said)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _present(seat: Seat) -> bool:
    return seat.room.participants.get(seat.participant.participant) is seat.participant
