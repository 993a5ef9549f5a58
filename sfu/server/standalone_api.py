"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over HTTP: the bearer is a join token or a stream key; each session
is a resource.

`POST /whip` and `POST /whep` (optionally with the room in the path, which the token must then name) create a resource;
DELETE ends it. Consents, which other clients give over signaling, are given with `?consent=recording,captions`. A
resource accepts the bearer that created it; for this a join token stays valid beyond its 60 s. PATCH takes trickled
candidates (RFC 8840), which an ICE-lite agent does not need, and restarts ICE; entity tags identify ICE sessions (RFC
9725, section 4.3.2).
"""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from sfu.api.refusal import Code, Refused
from sfu.api.session_paths import FRAGMENT, SDP, Kind, Role
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from sfu.formats.sdp_fragment import SdpFragment, parse_fragment, serialize_fragment
from sfu.peers.publish.uptrack import CODECS_BY_NAME
from sfu.rooms import standalone
from sfu.rooms.node import Membership
from sfu.server.driver import Driver
from sfu.server.first_state import FirstState
from sfu.server.key_ring import KeyRing
from sfu.server.standalone_answers import CORS, add_manners, bearer, body_text, problem, refusal

MAX_SDP_BYTES = 256 * 1024
_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
LAYER_LINK = "urn:ietf:params:whep:ext:core:layer"
EVENTS_LINK = "urn:ietf:params:whep:ext:core:server-sent-events"


@dataclass(slots=True)
class Resource:
    """A session of a publisher or player. `etag` identifies its ICE session, `ufrag` is the remote's in that session.

    `events` is the key of a player's event streams, `listening` the number of their readers.
    """

    role: Role
    membership: Membership
    token_hash: bytes
    ufrag: str
    etag: str
    events: str = ""
    listening: int = 0


class StandaloneApi:
    """The resources by id. `refused` counts refusals by code."""

    def __init__(self, driver: Driver, keys: KeyRing, first_state: FirstState) -> None:
        self.refused: Counter[str] = Counter()
        self._driver = driver
        self._keys = keys
        self._first_state = first_state
        self._resources: dict[str, Resource] = {}

    def add_to(self, router: web.UrlDispatcher) -> None:
        for role in ("whip", "whep"):
            for path in (f"/{role}", f"/{role}/{{room}}"):
                router.add_post(path, self._create)
                add_manners(router, path, Kind.ENDPOINT)
            resource = f"/{role}/{{room}}/{{resource}}"
            router.add_delete(resource, self._delete)
            router.add_patch(resource, self._patch)
            add_manners(router, resource, Kind.SESSION)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != SDP:
            return problem(415, Code.BAD_MESSAGE.value, f"The body must be {SDP}.", {"Accept-Post": SDP})
        try:
            shown = bearer(request)
            sdp = await body_text(request, MAX_SDP_BYTES)
            role: Role = "whip" if request.path.startswith("/whip") else "whep"
            room = request.match_info.get("room", "")
            token = await self._keys.join_token(shown, "publish" if role == "whip" else "watch", room)
            consent, codec = _consent(request), _codec(request)
            async with self._keys.admitted(token) as claims:
                if room and room != claims.room:
                    raise Refused(Code.FOREIGN_TOKEN, "The token is for another room.", fatal=True)
                desired = await self._first_state.of(claims)
                membership, answer = self._driver.node.stand_alone(
                    claims, role, sdp, consent, self._driver.now(), desired=desired, codec=codec
                )
        except Refused as refused:
            self._driver.flush()
            return self.refuse(refused)
        self._driver.flush()
        found = _UFRAG.search(sdp)
        resource = Resource(role, membership, _hash(shown), found[1] if found is not None else "", _new_etag())
        return _created(self._keep(resource), resource, answer, claims.ice)

    def _keep(self, resource: Resource) -> str:
        """Keep a resource and return its key.

        Resources whose participant has left, or is replaced by this one, are dropped, so they are bounded like
        participants.
        """
        participant = resource.membership.participant
        self._resources = {
            key: other
            for key, other in self._resources.items()
            if present(other.membership) and other.membership.participant is not participant
        }
        key = secrets.token_urlsafe(16)
        self._resources[key] = resource
        return key

    def find(self, request: web.Request) -> Resource | None:
        """Return the resource that the path names, if its participant is still present."""
        resource = self._resources.get(request.match_info["resource"])
        return resource if resource is not None and present(resource.membership) else None

    def owned(self, request: web.Request) -> Resource | web.Response:
        """Return the resource that the path names if the request has its token, else the refusal."""
        try:
            given = _hash(bearer(request))
        except Refused as refused:
            return self.refuse(refused)
        resource = self.find(request)
        if resource is None:
            return problem(404, "unknown_resource", "There is no such session.")
        if not hmac.compare_digest(given, resource.token_hash):
            return self.refuse(Refused(Code.FOREIGN_TOKEN, "The token does not belong to this session.", fatal=True))
        return resource

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        resource = self.owned(request)
        if isinstance(resource, Resource):
            del self._resources[request.match_info["resource"]]
            self._driver.node.leave(resource.membership, "left", self._driver.now())
            self._driver.flush()
        elif resource.status != 404:
            return resource
        # A session that has already ended, by an earlier DELETE or because its peer closed, is what the client wants.
        return web.Response(status=200, headers=CORS)

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        resource = self.owned(request)
        if isinstance(resource, web.Response):
            return resource
        read = await _read_patch(request)
        if isinstance(read, web.Response):
            return read
        condition, fragment = read
        if condition.strip() == "*" and fragment.ufrag not in {"", resource.ufrag}:
            return self._restart(resource, fragment)
        tags = {tag.strip() for tag in condition.split(",")}
        if not tags & {"*", resource.etag} or fragment.ufrag not in {"", resource.ufrag}:
            return problem(412, "precondition_failed", "This is not the current ICE session.")
        return web.Response(status=204, headers={"ETag": resource.etag, **CORS})

    def _restart(self, resource: Resource, fragment: SdpFragment) -> web.StreamResponse:
        """Begin another ICE session on the same peer (RFC 9725, section 4.3.3)."""
        room, participant = resource.membership
        try:
            local = standalone.restart_ice(room, participant, fragment.ufrag, fragment.pwd)
        except Refused as refused:
            return problem(409, refused.code.value, refused.detail)
        finally:
            self._driver.flush()
        resource.ufrag, resource.etag = fragment.ufrag, _new_etag()
        ours = SdpFragment(local.ufrag, local.pwd, fragment.mid, fragment.media)
        return web.Response(
            status=200,
            text=serialize_fragment(ours, local.candidates),
            content_type=FRAGMENT,
            headers={"ETag": resource.etag, **CORS},
        )

    def refuse(self, refused: Refused) -> web.Response:
        """Count a refusal and return it."""
        self.refused[refused.code.value] += 1
        return refusal(refused)


def _created(key: str, resource: Resource, answer: str, ice: Iterable[str]) -> web.Response:
    """Return the response to a POST that created a resource; `lite` are ICE servers as values of Link headers."""
    location = f"/{resource.role}/{resource.membership.room.room}/{key}"
    headers = {"Location": location, "ETag": resource.etag, "Accept-Patch": FRAGMENT, **CORS}
    response = web.Response(status=201, text=answer, content_type=SDP, headers=headers)
    for link in ice:
        response.headers.add("Link", link)
    if resource.role == "whep":
        response.headers.add("Link", f'<{location}/layer>; rel="{LAYER_LINK}"')
        response.headers.add("Link", f'<{location}/events>; rel="{EVENTS_LINK}"; events="active,inactive,layers"')
    return response


async def _read_patch(request: web.Request) -> tuple[str, SdpFragment] | web.Response:
    """Return the condition and the fragment of a PATCH, or the refusal."""
    if request.content_type != FRAGMENT:
        return problem(415, Code.BAD_MESSAGE.value, f"The body must be {FRAGMENT}.", {"Accept-Patch": FRAGMENT})
    condition = request.headers.get("If-Match")
    if condition is None:
        return problem(428, "precondition_required", "If-Match must name the ICE session, or be `*` to restart it.")
    try:
        return condition, parse_fragment(await body_text(request, MAX_SDP_BYTES))
    except (ValueError, Refused) as error:
        return problem(400, Code.BAD_MESSAGE.value, f"The fragment cannot be read: {error}.")


def _consent(request: web.Request) -> Consent:
    """Return the consents of a publisher without signaling: `?consent=recording,captions,analysis`."""
    given = {part.strip() for part in request.query.get("consent", "").split(",") if part.strip()}
    if given - {"recording", "captions", "analysis"}:
        raise Refused(Code.BAD_MESSAGE, "`consent` may list recording, captions and analysis.")
    said = dict.fromkeys(given, True)
    return Consent(text="whip", **said)


def _codec(request: web.Request) -> Codec | None:
    """Return the video codec that a player asks for: `?codec=VP8`."""
    name = request.query.get("codec")
    if name is None:
        return None
    codec = CODECS_BY_NAME.get(name)
    if codec is None or codec.is_audio:
        raise Refused(Code.BAD_MESSAGE, "`codec` must be VP8, VP9, H264 or AV1.")
    return codec


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _new_etag() -> str:
    return f'"{secrets.token_hex(8)}"'


def present(membership: Membership) -> bool:
    """Return True if the participant is still in its room."""
    return membership.room.participants.get(membership.participant.participant) is membership.participant
