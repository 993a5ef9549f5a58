"""Operations of the schema test that need several requests, or a body that is not JSON. Each returns its own status."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from control.identity import totp
from tests.control.authenticator import Authenticator
from tests.control.authorization_stage import PICTURE, Stage, World, fill
from tests.control.harness import Client, People

Deed = Callable[[People, Stage, World], Awaitable[int]]
_KEYS = "/api/v1/users/passkeys"


async def _avatar(_: People, __: Stage, world: World) -> int:
    host = world.callers["host"]
    url = f"{host.server.url}/api/v1/users/upload-avatar"
    async with host.session.post(url, data=PICTURE, headers=host.headers) as answer:
        return answer.status


async def _confirm_code(people: People, _: Stage, __: World) -> int:
    careful = await people.user("careful")
    secret = (await careful.ok("POST", "/api/v1/users/totp/begin"))["secret"]
    code = totp.code(secret, int(time.time()) // 30)
    return (await careful.call("POST", "/api/v1/users/totp/confirm", {"code": code}))[0]


async def _make_passkey(client: Client, authenticator: Authenticator) -> int:
    begun = await client.ok("POST", f"{_KEYS}/begin")
    body = {"name": "phone", "credential": authenticator.create(begun["options"])}
    return (await client.call("POST", _KEYS, body))[0]


async def _add_passkey(people: People, _: Stage, __: World) -> int:
    keyed = await people.user("keyed")
    return await _make_passkey(keyed, Authenticator(keyed.server.url))


async def _sign_in_by_passkey(people: People, _: Stage, __: World) -> int:
    keyed, nobody = await people.user("keyed-too"), people.nobody()
    authenticator = Authenticator(keyed.server.url)
    await _make_passkey(keyed, authenticator)
    begun = await nobody.ok("POST", "/api/v1/auth/passkey/begin")
    body = {"credential": authenticator.get(begun["options"]), "mode": "token"}
    return (await nobody.call("POST", "/api/v1/auth/passkey/finish", body))[0]


async def _judge_emotion(_: People, stage: Stage, world: World) -> int:
    admin = stage.accounts["admin"]
    version = (await admin.ok("GET", "/api/v1/ai/setup"))["statement_version"]
    await admin.ok("POST", "/api/v1/ai/setup", {"emotion": True, "acknowledged": version})
    body = {"file": world.paths["<file>"]}
    return (await world.callers["host"].call("POST", "/api/v1/ai/emotion", body))[0]


async def _revoke_key(_: People, stage: Stage, world: World) -> int:
    body = {"name": "forgotten", "scopes": ["meetings:read"]}
    key = (await world.callers["host"].ok("POST", "/api/v1/users/api-keys", body))["id"]
    return (await stage.accounts["admin"].call("DELETE", f"/api/v1/admin/api-keys/{key}"))[0]


async def _revoke_livekit_key(_: People, stage: Stage, __: World) -> int:
    key = (await stage.accounts["admin"].ok("POST", "/api/v1/admin/livekit-keys", {"name": "forgotten"}))["id"]
    return (await stage.accounts["admin"].call("DELETE", f"/api/v1/admin/livekit-keys/{key}"))[0]


def _following(rule: str, body: dict[str, Any]) -> Deed:
    """Create a link at `rule` and open it without credentials."""

    async def follow(people: People, _: Stage, world: World) -> int:
        link = await world.callers["host"].ok("POST", fill(rule, world.paths), body)
        return (await people.nobody().call("GET", link["url"]))[0]

    return follow


def _of_activity(kind: str, made: dict[str, Any], method: str, rest: str = "", body: Any = None) -> Deed:
    """Create a poll or a question, and apply an action to it."""

    async def act(_: People, __: Stage, world: World) -> int:
        host, base = world.callers["host"], fill("/api/v1/meetings/<meeting>", world.paths)
        await host.ok("POST", f"{base}/{kind}", made)
        identifier = (await host.ok("GET", f"{base}/activities"))[kind][0]["id"]
        return (await host.call(method, f"{base}/{kind}/{identifier}{rest}", body))[0]

    return act


_M = "/api/v1/meetings/{meeting}"
_POLL = ("polls", {"question": "Now?", "options": ["Yes", "No"]})
_QUESTION = ("questions", {"text": "When?"})
DEEDS: dict[str, Deed] = {
    "POST /api/v1/users/upload-avatar": _avatar,
    "POST /api/v1/users/totp/confirm": _confirm_code,
    "POST /api/v1/users/passkeys": _add_passkey,
    "POST /api/v1/auth/passkey/finish": _sign_in_by_passkey,
    "POST /api/v1/ai/emotion": _judge_emotion,
    "DELETE /api/v1/admin/api-keys/{key}": _revoke_key,
    "DELETE /api/v1/admin/livekit-keys/{livekit_key}": _revoke_livekit_key,
    "GET /api/v1/signed/media/{file}": _following("/api/v1/media/<file>/links", {}),
    "GET /api/v1/signed/recordings/{recording}/{name}": _following(
        "/api/v1/recordings/<recording>/file-links", {"name": "track0.webm"}
    ),
    f"POST {_M}/polls/{{poll}}/vote": _of_activity(*_POLL, "POST", "/vote", {"options": [0]}),
    f"POST {_M}/polls/{{poll}}/close": _of_activity(*_POLL, "POST", "/close"),
    f"DELETE {_M}/polls/{{poll}}": _of_activity(*_POLL, "DELETE"),
    f"POST {_M}/questions/{{question}}/vote": _of_activity(*_QUESTION, "POST", "/vote", {"wanted": True}),
    f"PUT {_M}/questions/{{question}}": _of_activity(*_QUESTION, "PUT", body={"answered": True}),
    f"DELETE {_M}/questions/{{question}}": _of_activity(*_QUESTION, "DELETE"),
}
