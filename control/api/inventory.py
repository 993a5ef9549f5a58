"""Administration of all accounts' API keys, recordings and storage, and of the sfu nodes."""

from control.api.paging import PageQuery, decode_cursor, page_of
from control.api.types import Answer, Done, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import not_found
from control.store import audit, inventory

endpoints = Endpoints("administration", scope="admin")
_MOST_OWNERS = 200


class OwnedKey(Answer, frozen=True, kw_only=True):
    """An API key of any account."""

    id: str
    name: str
    scopes: list[str]
    user_id: str
    username: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class OwnedKeys(Answer, frozen=True, kw_only=True):
    keys: list[OwnedKey]
    next: str | None


class StoredRecording(Answer, frozen=True, kw_only=True):
    """A recording; `owner` is the host's user name. `held`: on legal hold."""

    id: str
    title: str
    owner: str
    state: str
    started_at: Time
    duration_ms: int | None
    bytes: int
    held: bool


class StoredRecordings(Answer, frozen=True, kw_only=True):
    recordings: list[StoredRecording]
    next: str | None


class StorageOwner(Answer, frozen=True, kw_only=True):
    """Storage of an account: the recordings of its meetings, and its files."""

    user_id: str
    username: str
    display_name: str
    recordings: int
    recording_bytes: int
    files: int
    file_bytes: int


class Storage(Answer, frozen=True, kw_only=True):
    """The accounts that use the most storage. `quota_bytes` is the limit for the files of each."""

    owners: list[StorageOwner]
    quota_bytes: int


class SfuNode(Answer, frozen=True, kw_only=True):
    """An sfu node: whether it responds (`alive`), gets no new rooms (`draining`), or is `overloaded`.

    `cpu` is the share of a core that it has used recently.
    """

    node: str
    region: str
    alive: bool
    draining: bool
    overloaded: bool
    cpu: float
    rooms: int
    participants: int


class SfuNodes(Answer, frozen=True, kw_only=True):
    nodes: list[SfuNode]


@endpoints.route("GET", "/api/v1/admin/api-keys", Access.ADMIN, query=PageQuery, answer=OwnedKeys)
async def list_all_api_keys(call: Call, query: PageQuery) -> OwnedKeys:
    """List the API keys of all accounts, newest first."""
    before = decode_cursor(query.cursor)
    async with call.services.pool.acquire() as connection:
        rows = await inventory.api_keys(connection, query.limit + 1, before)
    page, following = page_of(rows, query.limit, lambda row: (row.created_at, row.id))
    return OwnedKeys(keys=[OwnedKey.from_row(row) for row in page], next=following)


@endpoints.route("DELETE", "/api/v1/admin/api-keys/<key>", Access.ADMIN, answer=Done)
async def revoke_api_key(call: Call, key: str) -> Done:
    """Delete an API key of any account."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        owner = await inventory.revoke_key(connection, key)
        if owner is None:
            raise not_found("There is no such API key.")
        await audit.write(connection, call.actor, "revoke_api_key", owner, call.address, key=key)
    return Done()


@endpoints.route("GET", "/api/v1/admin/recordings", Access.ADMIN, query=PageQuery, answer=StoredRecordings)
async def list_stored_recordings(call: Call, query: PageQuery) -> StoredRecordings:
    """List all recordings, newest first."""
    before = decode_cursor(query.cursor)
    async with call.services.pool.acquire() as connection:
        rows = await inventory.recordings(connection, query.limit + 1, before)
    page, following = page_of(rows, query.limit, lambda row: (row.started_at, row.id))
    return StoredRecordings(recordings=[StoredRecording.from_row(row) for row in page], next=following)


@endpoints.route("GET", "/api/v1/admin/storage", Access.ADMIN, answer=Storage)
async def get_storage(call: Call) -> Storage:
    """List the accounts that use the most storage."""
    async with call.services.pool.acquire() as connection:
        rows = await inventory.owners(connection, _MOST_OWNERS)
    return Storage(owners=[StorageOwner.from_row(row) for row in rows], quota_bytes=call.services.config.quota_bytes)


@endpoints.route("GET", "/api/v1/admin/nodes", Access.ADMIN, answer=SfuNodes)
async def list_nodes(call: Call) -> SfuNodes:
    """List the sfu nodes."""
    registry = call.services.registry
    known = sorted(registry.known().values(), key=lambda record: record.node)
    return SfuNodes(
        nodes=[
            SfuNode.from_row(
                record,
                alive=registry.lives(record.node),
                cpu=record.load.cpu,
                rooms=record.load.rooms,
                participants=record.load.participants,
            )
            for record in known
        ]
    )
