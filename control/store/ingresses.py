"""Ingresses of LiveKit's server API: stream keys that applications create for rooms by name."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.database import Connection


@dataclass(frozen=True, slots=True)
class IngressRow:
    """An ingress. `id` is that of its stream key, `request` the protobuf message that describes it, `secret` sealed."""

    id: str
    room: str
    identity: str
    metadata: str
    request: bytes
    secret: str
    meeting_id: str
    source_url: str
    report: dict[str, Any] | None
    reported_at: datetime | None


_SELECT = (
    "SELECT i.*, k.meeting_id, k.source_url, k.report, k.reported_at FROM livekit_ingresses i"
    " JOIN stream_keys k ON k.id = i.id"
)


@dataclass(frozen=True, slots=True)
class Description:
    """An ingress as an application describes it; `name` is the name that others see."""

    room: str
    identity: str
    name: str
    metadata: str
    request: bytes


async def add(connection: Connection, key: str, about: Description, secret: str) -> None:
    await connection.insert(
        "livekit_ingresses",
        id=key,
        room=about.room,
        identity=about.identity,
        metadata=about.metadata,
        request=about.request,
        secret=secret,
    )


async def change(connection: Connection, key: str, about: Description) -> None:
    """Change the description of an ingress. From then on, it joins as a new participant."""
    await connection.execute(
        "UPDATE livekit_ingresses SET room = $2, identity = $3, metadata = $4, request = $5 WHERE id = $1",
        key,
        about.room,
        about.identity,
        about.metadata,
        about.request,
    )
    await connection.execute("UPDATE stream_keys SET name = $2 WHERE id = $1", key, about.name)
    await connection.execute("UPDATE meeting_participants SET stream_key_id = NULL WHERE stream_key_id = $1", key)


async def move(connection: Connection, key: str, meeting: str) -> None:
    """Assign an ingress to the meeting that now has its room's name."""
    await connection.execute("UPDATE stream_keys SET meeting_id = $2 WHERE id = $1", key, meeting)


async def by_id(connection: Connection, key: str) -> IngressRow | None:
    return await connection.one(IngressRow, f"{_SELECT} WHERE i.id = $1", key)


async def listed(connection: Connection, room: str, key: str) -> list[IngressRow]:
    """Return the ingresses of a room, or all; with `key`, only that one."""
    return await connection.all(
        IngressRow, f"{_SELECT} WHERE ($1 = '' OR i.room = $1) AND ($2 = '' OR i.id = $2) ORDER BY k.created_at, i.id",
        room,
        key,
    )  # fmt: skip


async def count(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM livekit_ingresses"))
