"""Routes of the server API (`/twirp/livekit.…`), which accept only its API keys."""

from quart import Quart, Response, request

from control.endpoint import client_address
from control.http.limits import network
from control.identity import livekit_tokens
from control.identity.livekit_tokens import TokenRefused
from control.problem import Problem, not_found
from control.services import Services
from control.twirp import dispatches, egress, ingress, rooms, sip
from control.twirp.service import PREFIX, Call, Caller, Service, TwirpError, of_problem, serve

_SERVICES: dict[str, Service] = {
    "RoomService": rooms.SERVICE,
    "AgentDispatchService": dispatches.SERVICE,
    "Egress": egress.SERVICE,
    "Ingress": ingress.SERVICE,
    "SIP": sip.SERVICE,
}


def install(app: Quart, services: Services) -> None:
    """Add the routes."""

    async def call(rest: str) -> Response:
        if rest.partition("/")[0] not in _SERVICES:
            raise not_found("There is no such service.")
        address = client_address(services, request)
        try:
            caller = Caller(services, await _token(services, network(address)), address)
            kind = request.headers.get("Content-Type") or "application/octet-stream"
            body = await request.get_data()
            assert isinstance(body, bytes)
            given = await serve(_SERVICES, caller, Call(request.method, f"{PREFIX}{rest}", kind, body))
        except TokenRefused as refused:
            return Response(refused.detail, refused.status, content_type="text/plain; charset=utf-8")
        except TwirpError as error:
            return Response(error.body(), error.status, content_type="application/json")
        return Response(given.body, 200, content_type=given.content_type)

    # Twirp answers every HTTP method itself.
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    rule = f"{PREFIX}<path:rest>"
    app.add_url_rule(rule, "twirp", call, methods=methods, provide_automatic_options=False)


async def _token(services: Services, party: str) -> livekit_tokens.AccessToken | None:
    """Return the verified token of a request, or None without one; invalid ones count against the caller's address."""
    limits, allowed = services.limits, services.config.limits.address_requests
    authorization = request.headers.get("Authorization", "")
    scheme, _, bearer = authorization.partition(" ")
    try:
        limits.check_requests(party, allowed)
        if authorization and scheme.lower() != "bearer":
            raise TokenRefused(401, "invalid authorization header. Must start with Bearer ")
        return await services.livekit_keys.verified(bearer.strip()) if bearer.strip() else None
    except TokenRefused:
        limits.request(party, allowed)
        raise
    except Problem as problem:
        raise of_problem(problem) from problem
