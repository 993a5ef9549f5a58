"""API keys: each route takes exactly the scope listed here, or no key at all."""

import re

from control.config import ControlConfig
from tests.control.authorization_stage import fill, set_stage
from tests.control.harness import Client, People
from tests.control.test_authorization import TABLE

SCOPES = ("meetings", "recordings", "media", "webhooks", "admin")
# The first pattern that fits a path decides.
EXPECTED = (
    (r"/api/v1/(server|setup|docs|openapi.json)$", "public"),
    (
        r"/api/v1/auth/(register|login|refresh|forgot-password|reset-password|verify-email|undo-email|oidc/.*|passkey/.*)$",
        "public",
    ),
    (r"/api/v1/(shared|signed|live)/", "public"),
    (r"/(health|metrics)", "public"),
    (r"/api/v1/ai/analysis$", "public"),
    (r"/api/v1/meetings/<meeting>/(analysis|avatars)$", "media"),
    (r"/api/v1/auth/logout$|/api/v1/(csrf-token|auth/session)$", "none"),
    (r"/api/v1/users/(upload-avatar|avatar|<user>/avatar)$", "media"),
    (r"/api/v1/users/", "none"),
    (r"/api/v1/meetings/<meeting>/(recording|broadcast)", "recordings"),
    (r"/api/v1/recordings?/|/api/v1/recordings$", "recordings"),
    (r"/api/v1/meetings/<meeting>/admissions", "admissions"),
    (
        r"/api/v1/meetings|/api/v1/network-tests|/api/v1/my/|/api/v1/webrtc/|/api/v1/messages/|/api/v1/sessions/room/",
        "meetings",
    ),
    (r"/api/v1/admin/|/admin/|/api/v1/sessions/|/api/v1/stats/", "admin"),
    (r"/api/v1/(media|ai|ffmpeg|jobs)\b", "media"),
    (r"/api/v1/webhooks", "webhooks"),
)


def expected_scope(route: str) -> str:
    method, _, rule = route.partition(" ")
    found = next((scope for pattern, scope in EXPECTED if re.match(pattern, rule)), None)
    assert found is not None, f"{route} has no expectation"
    if found in {"public", "none"}:
        return found
    return f"{found}:{'read' if method == 'GET' else 'write'}"


async def test_a_key_does_what_its_scope_says_and_nothing_else(people: People, config: ControlConfig, dsn: str) -> None:
    stage = await set_stage(people, config, dsn)
    admin = stage.accounts["admin"]
    everything = [f"{scope}:{act}" for scope in SCOPES for act in ("read", "write")] + ["admissions:write"]

    async def key(scopes: list[str]) -> Client:
        body = {"name": "k", "scopes": scopes}
        return people.bearer((await admin.ok("POST", "/api/v1/users/api-keys", body))["secret"])

    with_one = {scope: await key([scope]) for scope in everything}
    without = {scope: await key([other for other in everything if other != scope]) for scope in everything}
    full = await key(everything)
    paths = (await stage.meeting()).paths
    wrong = []
    for route in TABLE:
        scope = expected_scope(route)
        method, _, rule = route.partition(" ")
        callers = {"public": [(full, False)], "none": [(full, True)]}.get(scope) or [
            (with_one[scope], False),
            (without[scope], True),
        ]
        for client, refused in callers:
            # The requests name nothing that exists, so an accepted key changes nothing.
            path = fill(rule, {name: "1" if name.startswith("<int:") else "nothing" for name in paths} | OTHER)
            status, answer = await client.call(method, path, {"nothing": 1} if method in {"POST", "PUT"} else None)
            code = answer.get("code") if isinstance(answer, dict) else None
            if (status == 403 and code == "scope") != refused:
                wrong.append(f"{route}: {status} {code}, expected {scope}")
    assert wrong == []


OTHER = {"<provider>": "none", "<passkey>": "none", "<path:rest>": "none"}
