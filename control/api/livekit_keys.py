"""API keys of LiveKit's SDKs, for administrators: whoever holds a key's secret admits people to every meeting."""

from control.api.paging import NamedListQuery, cut
from control.api.types import Answer, Body, Done, Text, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import Problem, not_found
from control.store import audit, livekit_keys

endpoints = Endpoints("administration", scope="admin")
_MAX = 100


class CreateLiveKitKey(Body, frozen=True, kw_only=True):
    name: Text


class LiveKitKey(Answer, frozen=True, kw_only=True):
    """A key: `id` is the API key for an SDK. `secret` is shown once, when the key is created.

    A `configured` key is one of the setting `livekit_keys`; only its id is known here.
    """

    id: str
    name: str
    configured: bool
    created_at: Time | None
    last_used_at: Time | None
    secret: str | None = None


class LiveKitKeys(Answer, frozen=True, kw_only=True):
    keys: list[LiveKitKey]
    next: str | None


@endpoints.route("GET", "/api/v1/admin/livekit-keys", Access.ADMIN, query=NamedListQuery, answer=LiveKitKeys)
async def list_livekit_keys(call: Call, query: NamedListQuery) -> LiveKitKeys:
    """List the API keys of LiveKit's SDKs, newest first."""
    async with call.services.pool.acquire() as connection:
        rows = await livekit_keys.all_made(connection)
    made = [LiveKitKey.from_row(row, configured=False, secret=None) for row in rows]
    configured = [
        LiveKitKey(id=key, name=key, configured=True, created_at=None, last_used_at=None)
        for key in call.services.livekit_keys.configured
    ]
    page, following = cut(LiveKitKey, made + configured, query)
    return LiveKitKeys(keys=page, next=following)


@endpoints.route(
    "POST",
    "/api/v1/admin/livekit-keys",
    Access.ADMIN,
    body=CreateLiveKitKey,
    answer=LiveKitKey,
    status=201,
    proof=True,
)
async def create_livekit_key(call: Call, body: CreateLiveKitKey) -> LiveKitKey:
    """Create an API key of LiveKit's SDKs. Its secret is shown only once."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if len(await livekit_keys.all_made(connection)) >= _MAX:
            raise Problem(409, "too_many_keys", "There are too many keys. Delete one first.")
        row, secret = await call.services.livekit_keys.make(connection, body.name)
        await audit.write(connection, call.actor, "create_livekit_key", row.id, call.address, name=row.name)
    return LiveKitKey.from_row(row, configured=False, secret=secret)


@endpoints.route("DELETE", "/api/v1/admin/livekit-keys/<livekit_key>", Access.ADMIN, answer=Done)
async def revoke_livekit_key(call: Call, livekit_key: str) -> Done:
    """Revoke an API key that was created here: its tokens are refused from now on. Its bearers may finish meetings."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await livekit_keys.delete(connection, livekit_key):
            raise not_found("There is no such key.")
        await audit.write(connection, call.actor, "revoke_livekit_key", livekit_key, call.address)
    return Done()
