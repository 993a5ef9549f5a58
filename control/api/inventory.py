"""Administration of all accounts' API keys, recordings and storage, and of the sfu nodes."""

from typing import Annotated, Literal

import msgspec

from control.api.paging import NamedQuery, PageQuery, cut, page_of, window_of
from control.api.types import Answer, Done, RecordingStatus, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import not_found
from control.store import audit, inventory
from control.store.inventory import KeyRow, OwnerRow
from control.store.inventory import StoredRecording as RecordingRow

endpoints = Endpoints("administration", scope="admin")


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
    """Storage of an account: the recordings of its meetings, its files, and both together (`bytes`)."""

    user_id: str
    username: str
    display_name: str
    recordings: int
    recording_bytes: int
    files: int
    file_bytes: int
    bytes: int


class Storage(Answer, frozen=True, kw_only=True):
    """The accounts that use storage. `quota_bytes` is the limit for the files of each."""

    owners: list[StorageOwner]
    quota_bytes: int
    next: str | None


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
    next: str | None


class StoredRecordingQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches the meeting's title and the owner's name; `state` selects recordings."""

    sort: Literal["started_at", "-started_at", "title", "-title", "bytes", "-bytes"] = "-started_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""
    state: RecordingStatus | None = None


class StorageQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches the names of accounts."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    sort: Literal[
        "bytes", "-bytes", "recording_bytes", "-recording_bytes", "file_bytes", "-file_bytes", "username", "-username"
    ] = "-bytes"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class NodeQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    sort: Literal["node", "-node", "cpu", "-cpu", "rooms", "-rooms", "participants", "-participants"] = "node"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


@endpoints.route("GET", "/api/v1/admin/api-keys", Access.ADMIN, query=NamedQuery, answer=OwnedKeys)
async def list_all_api_keys(call: Call, query: NamedQuery) -> OwnedKeys:
    """List the API keys of all accounts, newest first. `search` also matches the names of accounts."""
    window = window_of(query, KeyRow)
    async with call.services.pool.acquire() as connection:
        rows = await inventory.api_keys(connection, window, query.search)
    page, following = page_of(rows, query)
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


@endpoints.route("GET", "/api/v1/admin/recordings", Access.ADMIN, query=StoredRecordingQuery, answer=StoredRecordings)
async def list_stored_recordings(call: Call, query: StoredRecordingQuery) -> StoredRecordings:
    """List all recordings, newest first."""
    window = window_of(query, RecordingRow)
    async with call.services.pool.acquire() as connection:
        rows = await inventory.recordings(connection, window, query.search, query.state)
    page, following = page_of(rows, query)
    return StoredRecordings(recordings=[StoredRecording.from_row(row) for row in page], next=following)


@endpoints.route("GET", "/api/v1/admin/storage", Access.ADMIN, query=StorageQuery, answer=Storage)
async def get_storage(call: Call, query: StorageQuery) -> Storage:
    """List the accounts that use storage, those that use the most first."""
    window = window_of(query, OwnerRow, "user_id")
    async with call.services.pool.acquire() as connection:
        rows = await inventory.owners(connection, window, query.search)
    page, following = page_of(rows, query, "user_id")
    quota = call.services.config.quota_bytes
    return Storage(owners=[StorageOwner.from_row(row) for row in page], quota_bytes=quota, next=following)


@endpoints.route("GET", "/api/v1/admin/nodes", Access.ADMIN, query=NodeQuery, answer=SfuNodes)
async def list_nodes(call: Call, query: NodeQuery) -> SfuNodes:
    """List the sfu nodes."""
    registry = call.services.registry
    known = [
        SfuNode.from_row(
            record,
            alive=registry.lives(record.node),
            cpu=record.load.cpu,
            rooms=record.load.rooms,
            participants=record.load.participants,
        )
        for record in registry.known().values()
    ]
    nodes, following = cut(SfuNode, known, query, "node", searched=("node",))
    return SfuNodes(nodes=nodes, next=following)
