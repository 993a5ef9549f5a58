"""Authorization: hand-written expectations for every route; a route without its row fails.

Columns are callers. A status must match exactly; `ok` means that authorization admits the caller, whatever happens to
the request afterwards (the bodies are empty, so most requests end in 400 and change nothing).
"""

import json
from dataclasses import replace

import pytest

from control.app import Application, declared_endpoints
from control.config import ControlConfig
from control.services import open_services
from tests.control.authorization_stage import CALLERS, fill, set_stage
from tests.control.harness import People, Server

ALL = "ok ok ok ok ok ok ok ok ok ok ok"
PUBLIC_WITH_VALID_TOKEN = "ok ok ok ok ok ok ok ok ok 401 ok"
ACCOUNT = "401 403 ok ok ok ok ok ok 403 401 ok"
ADMIN = "401 403 403 403 403 403 403 403 403 401 ok"
INSIDE = "401 ok ok ok ok ok 403 403 403 401 ok"
HOSTS = "401 403 403 403 ok ok 403 403 403 401 ok"
OWNER = "401 403 403 403 403 ok 403 403 403 401 ok"
NO_IMAGES = "401 403 403 403 404 404 403 403 403 401 404"
NOT_OWN = "401 403 404 404 404 404 404 404 403 401 404"
NOBODY = "401 404 404 404 404 404 404 404 404 401 404"
OWN_FILE = "401 403 404 404 404 ok 404 404 403 401 ok"
# Inference is not running here, so authorized callers get 503.
AI = "401 403 503 503 503 503 503 503 403 401 503"
SHARED = "401 ok ok ok ok ok 404 404 404 401 ok"
OWN_RECORDING = "401 404 404 404 ok ok 404 404 404 401 ok"

M = "/api/v1/meetings/<meeting>"
P = f"{M}/participants/<participant>"
R = "/api/v1/recordings/<recording>"
TABLE = {
    "GET /api/v1/server": ALL,
    "POST /api/v1/setup": ALL,
    "POST /api/v1/auth/register": ALL,
    "POST /api/v1/auth/login": ALL,
    "POST /api/v1/auth/refresh": ALL,
    "POST /api/v1/auth/logout": PUBLIC_WITH_VALID_TOKEN,
    "GET /api/v1/csrf-token": "401 401 ok ok ok ok ok ok 401 401 ok",
    "GET /api/v1/auth/session": PUBLIC_WITH_VALID_TOKEN,
    "GET /api/v1/users/profile": ACCOUNT,
    "PUT /api/v1/users/profile": ACCOUNT,
    "POST /api/v1/users/change-password": ACCOUNT,
    "GET /api/v1/users/sessions": ACCOUNT,
    "DELETE /api/v1/users/sessions/<session>": NOT_OWN,
    "GET /api/v1/users/api-keys": ACCOUNT,
    "POST /api/v1/users/api-keys": ACCOUNT,
    "DELETE /api/v1/users/api-keys/<key>": NOT_OWN,
    "POST /api/v1/users/verify-email": ACCOUNT,
    "GET /api/v1/users/notifications": ACCOUNT,
    "PUT /api/v1/users/notifications": ACCOUNT,
    "GET /api/v1/users/proof": ACCOUNT,
    "POST /api/v1/users/proof": ACCOUNT,
    "GET /api/v1/users/export": ACCOUNT,
    "DELETE /api/v1/users/account": ACCOUNT,
    "POST /api/v1/auth/forgot-password": ALL,
    "POST /api/v1/auth/reset-password": ALL,
    "POST /api/v1/auth/verify-email": ALL,
    "POST /api/v1/auth/undo-email": ALL,
    "POST /api/v1/users/upload-avatar": ACCOUNT,
    "DELETE /api/v1/users/avatar": ACCOUNT,
    "GET /api/v1/users/<user>/avatar": "401 ok ok ok ok ok ok ok ok 401 ok",
    "POST /api/v1/media/upload": ACCOUNT,
    "GET /api/v1/media": ACCOUNT,
    "GET /api/v1/media/info/<file>": SHARED,
    "GET /api/v1/media/download/<file>": SHARED,
    "GET /api/v1/media/thumbnail/<file>": SHARED,
    "DELETE /api/v1/media/<file>": "401 404 404 404 404 ok 404 404 404 401 ok",
    "GET /api/v1/webhooks": ACCOUNT,
    "POST /api/v1/webhooks": ACCOUNT,
    "DELETE /api/v1/webhooks/<webhook>": NOT_OWN,
    "GET /api/v1/webhooks/kinds": ACCOUNT,
    "POST /api/v1/webhooks/<webhook>/secret": NOT_OWN,
    "GET /api/v1/webhooks/<webhook>/deliveries": NOT_OWN,
    "POST /api/v1/webhooks/<webhook>/deliveries/replay-failed": NOT_OWN,
    "POST /api/v1/webhooks/<webhook>/deliveries/<int:delivery>/replay": NOT_OWN,
    "POST /api/v1/webhooks/<webhook>/test": NOT_OWN,
    "GET /api/v1/admin/api-keys": ADMIN,
    "DELETE /api/v1/admin/api-keys/<key>": ADMIN,
    "GET /api/v1/admin/livekit-keys": ADMIN,
    "POST /api/v1/admin/livekit-keys": ADMIN,
    "DELETE /api/v1/admin/livekit-keys/<livekit_key>": "401 403 403 403 403 403 403 403 403 401 404",
    "GET /api/v1/admin/recordings": ADMIN,
    "GET /api/v1/admin/storage": ADMIN,
    "GET /api/v1/admin/nodes": ADMIN,
    "GET /api/v1/admin/users": ADMIN,
    "POST /api/v1/admin/users": ADMIN,
    "GET /api/v1/admin/users/<user>": ADMIN,
    "PUT /api/v1/admin/users/<user>": ADMIN,
    "DELETE /api/v1/admin/users/<user>": ADMIN,
    "POST /api/v1/admin/users/<user>/ban": ADMIN,
    "POST /api/v1/admin/users/<user>/unban": ADMIN,
    "POST /api/v1/admin/invitations": ADMIN,
    "GET /api/v1/admin/invitations": ADMIN,
    "DELETE /api/v1/admin/invitations/<invitation>": "401 403 403 403 403 403 403 403 403 401 404",
    "GET /api/v1/admin/users/<user>/sessions": ADMIN,
    # This session is of another account.
    "DELETE /api/v1/admin/users/<user>/sessions/<session>": "401 403 403 403 403 403 403 403 403 401 404",
    "GET /api/v1/admin/stream-keys": ADMIN,
    "GET /api/v1/admin/meetings": ADMIN,
    "GET /api/v1/admin/meetings/stats": ADMIN,
    "POST /api/v1/admin/meetings/<meeting>/force-end": ADMIN,
    "GET /api/v1/admin/audit": ADMIN,
    "GET /api/v1/admin/usage": ADMIN,
    "GET /api/v1/admin/settings": ADMIN,
    "PATCH /api/v1/admin/settings": ADMIN,
    "POST /api/v1/meetings": ACCOUNT,
    "GET /api/v1/meetings": ACCOUNT,
    f"GET {M}/summary": PUBLIC_WITH_VALID_TOKEN,
    f"GET {M}": INSIDE,
    f"PUT {M}": HOSTS,
    f"PATCH {M}": HOSTS,
    f"DELETE {M}": OWNER,
    f"POST {M}/start": HOSTS,
    f"POST {M}/end": HOSTS,
    f"GET {M}/room": INSIDE,
    f"POST {M}/join": PUBLIC_WITH_VALID_TOKEN,
    f"POST {M}/leave": INSIDE,
    "POST /api/v1/network-tests": PUBLIC_WITH_VALID_TOKEN,
    f"GET {M}/participants": INSIDE,
    f"POST {M}/participants": HOSTS,
    f"PUT {P}/role": HOSTS,
    f"POST {P}/mute": HOSTS,
    # Participants only do these to themselves; here the participant is somebody else.
    f"POST {P}/unmute": HOSTS,
    f"PUT {P}/name": HOSTS,
    f"POST {P}/remove": HOSTS,
    f"POST {P}/readmit": HOSTS,
    f"DELETE {P}": HOSTS,
    f"POST {M}/recording/start": HOSTS,
    f"POST {M}/recording/stop": HOSTS,
    f"GET {M}/recordings": HOSTS,
    # 404: no provider is configured here; test_single_sign_on has one.
    "GET /api/v1/auth/oidc/<provider>/start": "404 404 404 404 404 404 404 404 404 404 404",
    "GET /api/v1/auth/oidc/<provider>/callback": "404 404 404 404 404 404 404 404 404 404 404",
    "POST /api/v1/users/totp/begin": ACCOUNT,
    "POST /api/v1/users/totp/confirm": ACCOUNT,
    "DELETE /api/v1/users/totp": ACCOUNT,
    "GET /api/v1/users/passkeys": ACCOUNT,
    "POST /api/v1/users/passkeys": ACCOUNT,
    "POST /api/v1/users/passkeys/begin": ACCOUNT,
    "DELETE /api/v1/users/passkeys/<passkey>": NOT_OWN,
    "POST /api/v1/auth/passkey/begin": ALL,
    "POST /api/v1/auth/passkey/finish": ALL,
    f"GET {R}/transcript": OWN_RECORDING,
    f"PUT {R}/captions/<utterance>": OWN_RECORDING,
    f"GET {R}/captions/<utterance>/versions": OWN_RECORDING,
    f"POST {R}/links": OWN_RECORDING,
    f"GET {R}/links": OWN_RECORDING,
    f"DELETE {R}/links/<link>": OWN_RECORDING,
    "POST /api/v1/shared/<token>/open": PUBLIC_WITH_VALID_TOKEN,
    "POST /api/v1/shared/<token>/code": PUBLIC_WITH_VALID_TOKEN,
    "GET /api/v1/shared/<token>": PUBLIC_WITH_VALID_TOKEN,
    "GET /api/v1/shared/<token>/captions": PUBLIC_WITH_VALID_TOKEN,
    "GET /api/v1/shared/<token>/files/<path:name>": PUBLIC_WITH_VALID_TOKEN,
    "POST /api/v1/media/<file>/links": SHARED,
    "GET /api/v1/media/<file>/links": SHARED,
    "DELETE /api/v1/media/<file>/links/<media_link>": OWN_RECORDING,
    f"POST {R}/file-links": OWN_RECORDING,
    f"GET {R}/file-links": OWN_RECORDING,
    f"DELETE {R}/file-links/<file_link>": OWN_RECORDING,
    # Without a signature: whoever has one is let in.
    "GET /api/v1/signed/media/<file>": ALL,
    "GET /api/v1/signed/recordings/<recording>/<path:name>": ALL,
    "GET /api/v1/recordings": ACCOUNT,
    f"GET {R}": OWN_RECORDING,
    f"GET {R}/manifest": OWN_RECORDING,
    f"GET {R}/captions": OWN_RECORDING,
    f"GET {R}/files/<path:name>": OWN_RECORDING,
    f"POST {R}/composition": OWN_RECORDING,
    f"PUT {R}/hold": OWN_RECORDING,
    f"POST {R}/films": OWN_RECORDING,
    f"GET {R}/films": OWN_RECORDING,
    f"DELETE {R}/films/<film>": OWN_RECORDING,
    f"DELETE {R}": OWN_RECORDING,
    "GET /api/v1/recording/download/<recording>": OWN_RECORDING,
    f"POST {M}/mute-all": HOSTS,
    f"POST {M}/transports/send": HOSTS,
    f"POST {M}/transports/receive": HOSTS,
    f"GET {M}/transports": HOSTS,
    f"POST {M}/admissions": HOSTS,
    f"GET {M}/metadata": INSIDE,
    f"PUT {M}/metadata": HOSTS,
    f"GET {M}/participants/<participant>/metadata": INSIDE,
    f"PUT {M}/participants/<participant>/metadata": HOSTS,
    f"POST {M}/stream-keys": HOSTS,
    f"GET {M}/stream-keys": HOSTS,
    f"DELETE {M}/stream-keys/<stream_key>": HOSTS,
    f"GET {M}/phone": HOSTS,
    f"POST {M}/phone/pin": HOSTS,
    f"POST {M}/phone/calls": HOSTS,
    f"GET {M}/phone/calls": HOSTS,
    f"DELETE {M}/phone/calls/<phone_call>": HOSTS,
    f"GET {M}/broadcast": HOSTS,
    f"POST {M}/broadcast/outputs": HOSTS,
    f"DELETE {M}/broadcast/outputs/<output>": HOSTS,
    f"POST {M}/broadcast/start": HOSTS,
    f"POST {M}/broadcast/stop": HOSTS,
    # The output has no images; test_live_egress has one.
    f"GET {M}/broadcast/images/<output>": NO_IMAGES,
    f"GET {M}/broadcast/images/<output>/<image>": NO_IMAGES,
    f"DELETE {M}/broadcast/images/<output>": NO_IMAGES,
    # Anyone with the secret in the path may watch; nothing is live here.
    "GET /api/v1/live/<watch>/<piece>": "404 404 404 404 404 404 404 404 404 404 404",
    f"GET {M}/quality": HOSTS,
    f"DELETE {M}/transports/<transport>": "401 403 403 403 404 404 403 403 403 401 404",
    f"GET {M}/calendar.ics": PUBLIC_WITH_VALID_TOKEN,
    f"POST {M}/invitations": HOSTS,
    f"GET {M}/lobby": HOSTS,
    f"POST {M}/lobby/<entry>/admit": HOSTS,
    f"POST {M}/lobby/<entry>/deny": HOSTS,
    f"GET {M}/breakouts": INSIDE,
    f"POST {M}/breakouts": HOSTS,
    f"POST {M}/breakouts/open": HOSTS,
    f"POST {M}/breakouts/move": INSIDE,
    f"POST {M}/breakouts/announce": HOSTS,
    f"POST {M}/breakouts/close": HOSTS,
    f"PUT {M}/spotlight": HOSTS,
    f"PUT {M}/timer": HOSTS,
    f"GET {M}/activities": INSIDE,
    f"GET {M}/document": INSIDE,
    f"POST {M}/document": INSIDE,
    f"POST {M}/polls": HOSTS,
    f"POST {M}/polls/<poll>/vote": INSIDE,
    f"POST {M}/polls/<poll>/close": "401 403 403 403 404 404 403 403 403 401 404",
    f"DELETE {M}/polls/<poll>": "401 403 403 403 404 404 403 403 403 401 404",
    f"POST {M}/questions": INSIDE,
    f"POST {M}/questions/<question>/vote": INSIDE,
    f"PUT {M}/questions/<question>": HOSTS,
    f"DELETE {M}/questions/<question>": "401 404 404 404 404 404 403 403 403 401 404",
    f"PUT {M}/messages/<message>": "401 403 403 ok 403 403 403 403 403 401 403",
    f"DELETE {M}/messages/<message>": "401 403 403 ok ok ok 403 403 403 401 ok",
    "GET /api/v1/my/meetings": ACCOUNT,
    "GET /api/v1/my/meetings/history": ACCOUNT,
    "GET /api/v1/my/meetings/upcoming": ACCOUNT,
    f"GET {M}/captions": INSIDE,
    f"GET {M}/captions.vtt": INSIDE,
    f"POST {M}/captions/translate": INSIDE,
    f"GET {M}/minutes": INSIDE,
    f"POST {M}/minutes": "401 403 403 403 409 409 403 403 403 401 409",
    f"GET {M}/avatars": INSIDE,
    f"GET {M}/messages": INSIDE,
    f"POST {M}/messages": "401 ok ok ok ok ok 403 403 403 401 403",
    "GET /api/v1/ai/health": AI,
    "GET /api/v1/ai/connectivity": AI,
    "GET /api/v1/ai/info": AI,
    "GET /api/v1/ai/streams": ADMIN,
    "GET /api/v1/ai/stats": ADMIN,
    "POST /api/v1/ai/asr": ACCOUNT,
    "POST /api/v1/ai/synthesis": ACCOUNT,
    "POST /api/v1/ai/emotion": ACCOUNT,
    "GET /api/v1/ai/setup": ADMIN,
    "POST /api/v1/ai/setup": ADMIN,
    "GET /api/v1/ai/analysis": ALL,
    "GET /api/v1/ai/streams/<stream>": "401 503 503 503 503 503 503 503 503 401 503",
    f"GET {M}/analysis": "401 503 503 503 503 503 403 403 403 401 503",
    "POST /api/v1/ai/analyze": ACCOUNT,
    "POST /api/v1/ai/batch": ACCOUNT,
    "GET /api/v1/ai/results/<file>": OWN_FILE,
    "POST /api/v1/media/process": ACCOUNT,
    "POST /api/v1/ffmpeg/thumbnail": ACCOUNT,
    "GET /api/v1/jobs/<job>": OWN_FILE,
    "GET /api/v1/ffmpeg/job/<job>/status": OWN_FILE,
    "GET /api/v1/sessions/room/<meeting>": HOSTS,
    "GET /api/v1/sessions/<int:visit>": ADMIN,
    "GET /admin/sessions": ADMIN,
    "POST /admin/cleanup/sessions": ADMIN,
    "GET /api/v1/stats/rooms": ADMIN,
    "GET /api/v1/stats/overview": ADMIN,
    "GET /api/v1/webrtc/room/<meeting>/peers": INSIDE,
    "GET /api/v1/webrtc/room/<meeting>/stats": INSIDE,
    "POST /api/v1/webrtc/room/<meeting>/join": PUBLIC_WITH_VALID_TOKEN,
    "POST /api/v1/webrtc/room/<meeting>/leave": INSIDE,
    "GET /api/v1/webrtc/peer/<participant>/status": SHARED,
    "GET /api/v1/webrtc/peer/<participant>/media": SHARED,
    f"POST {M}/room": HOSTS,
    f"DELETE {M}/room": HOSTS,
    "GET /api/v1/messages/history/<meeting>": INSIDE,
    "POST /api/v1/recording/start": HOSTS,
    "POST /api/v1/recording/stop": HOSTS,
    "GET /api/v1/recording/status/<recording>": OWN_RECORDING,
    "GET /api/v1/recording/list": ACCOUNT,
    "DELETE /api/v1/recording/<recording>": OWN_RECORDING,
    "GET /health": ALL,
    "GET /health/live": ALL,
    "GET /health/ready": ALL,
    "GET /metrics": ALL,
    "GET /api/v1/openapi.json": ALL,
}
# Not REST: the page is public, the sfu itself verifies the token of what is proxied to it, and LiveKit's clients bring
# access tokens of their own (tests/livekit).
OTHERS = {
    *("/", "/api/docs", "/<page:name>"),
    *("/whip", "/whip/<path:rest>", "/whep", "/whep/<path:rest>"),
    *("/rtc", "/rtc/v1", "/rtc/validate", "/rtc/validate/", "/rtc/v1/validate"),
    "/twirp/livekit.<path:rest>",
    "/brand/logo",
    *("/scim/v2/Users", "/scim/v2/Users/<user>", "/scim/v2/ServiceProviderConfig"),
    *("/scim/v2/Groups", "/scim/v2/Groups/<group>"),
    *("/scim/v2/ResourceTypes", "/scim/v2/ResourceTypes/<name>", "/scim/v2/Schemas", "/scim/v2/Schemas/<urn>"),
}
# Routes that an allowed caller uses up.
CONSUMING = {
    f"DELETE {M}/stream-keys/<stream_key>",
    f"DELETE {M}/phone/calls/<phone_call>",
    f"DELETE {M}/broadcast/outputs/<output>",
    f"DELETE {R}/links/<link>",
    f"DELETE {R}/file-links/<file_link>",
    "DELETE /api/v1/media/<file>/links/<media_link>",
    "DELETE /api/v1/recording/<recording>",
    f"DELETE {M}",
    f"DELETE {M}/messages/<message>",
    f"POST {M}/lobby/<entry>/admit",
    f"DELETE {R}",
    f"DELETE {R}/films/<film>",
    "DELETE /api/v1/media/<file>",
    "DELETE /api/v1/admin/users/<user>",
}
# If the object decides about access, the body must be valid.
BODIES = {
    f"PUT {M}/messages/<message>": {"text": "changed"},
    "DELETE /api/v1/users/passkeys/<passkey>": {"password": "correct horse battery"},
    f"POST {M}/messages": {"text": "hello"},
    f"POST {P}/unmute": {"source": "microphone"},
    f"PUT {P}/name": {"name": "Grace"},
    "POST /api/v1/media/<file>/links": {},
    f"POST {R}/file-links": {"name": "track0.webm"},
    f"PUT {R}/hold": {"held": False},
    "POST /api/v1/recording/start": {"meeting": "<meeting>"},
    "POST /api/v1/recording/stop": {"meeting": "<meeting>"},
}
ENDING = {"POST /api/v1/auth/logout", "DELETE /api/v1/users/account"}


@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("long_sessions", "quick_thumbnails")
async def test_every_route_lets_in_whom_it_should(people: People, config: ControlConfig, dsn: str) -> None:
    stage = await set_stage(people, config, dsn)
    wrong = []
    world, changed = await stage.meeting(), False
    for route, row in TABLE.items():
        method, _, rule = route.partition(" ")
        expected = dict(zip(CALLERS, row.split(), strict=True))
        if changed:
            world, changed = await stage.meeting(), False
        for caller in sorted(CALLERS, key=lambda name: expected[name] == "ok"):
            if route in ENDING and expected[caller] == "ok" and caller not in {"anonymous", "guest"}:
                continue  # it would end the session; test_accounts and test_account_security do it
            if route in CONSUMING and expected[caller] == "ok":
                world = await stage.meeting()
            client = world.callers.get(caller, stage.accounts.get(caller))
            assert client is not None
            body = (
                {"nothing": 1} if method in {"POST", "PUT", "PATCH"} or rule.endswith(("/account", "/totp")) else None
            )
            if route in BODIES:
                body = json.loads(fill(json.dumps(BODIES[route]), world.paths))
            status, answer = await client.call(method, fill(rule, world.paths), body)
            code = answer.get("code") if isinstance(answer, dict) else None
            let_in = status not in {401, 403, 404, 500}
            changed |= method != "GET" and status < 400 and ("<" in rule or route in BODIES)  # else it is no object's
            if not (let_in if expected[caller] == "ok" else str(status) == expected[caller]):
                wrong.append(f"{route} as {caller}: {status} {code}, expected {expected[caller]}")
    assert wrong == []


def test_every_route_has_its_row() -> None:
    declared = {f"{endpoint.method} {endpoint.rule}" for endpoint in declared_endpoints()}
    assert declared == set(TABLE)


async def test_nothing_is_routed_besides(config: ControlConfig, server: Server) -> None:
    services = await open_services(replace(config, embedded=False))
    try:
        rules = {rule.rule for rule in Application(services).quart.url_map.iter_rules()}
    finally:
        await services.close()
    assert rules == OTHERS | {route.partition(" ")[2] for route in TABLE}


@pytest.mark.parametrize("token", ["none", "hs512", "foreign", "join"])
async def test_confused_tokens_are_refused(people: People, token: str) -> None:
    import jwt

    ada = await people.user("ada")
    claims = jwt.decode(ada.headers["Authorization"].partition(" ")[2], options={"verify_signature": False})
    meeting = (await ada.ok("POST", "/api/v1/meetings", {}))["id"]
    forged = {
        "none": jwt.encode(claims, None, algorithm="none"),
        "hs512": jwt.encode(claims, "x" * 64, algorithm="HS512"),
        "foreign": jwt.encode(claims, "y" * 32, algorithm="HS256"),
        "join": (await ada.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["token"],
    }
    caller = people.bearer(forged[token])
    assert await caller.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
