"""API keys of LiveKit's SDKs that administrators made."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from control.database import Connection

_NOTED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LiveKitKeyRow:
    """A key; `id` is what tokens name as their issuer."""

    id: str
    name: str
    sealed_secret: str
    created_at: datetime
    last_used_at: datetime | None


async def add(connection: Connection, key: str, name: str, sealed_secret: str) -> LiveKitKeyRow:
    return await connection.insert_new(LiveKitKeyRow, "livekit_keys", id=key, name=name, sealed_secret=sealed_secret)


async def all_made(connection: Connection) -> list[LiveKitKeyRow]:
    return await connection.all(LiveKitKeyRow, "SELECT * FROM livekit_keys")


async def used(connection: Connection, key: str) -> str | None:
    """Return a key's sealed secret, None if there is no such key; record its use, at most once a minute."""
    row = await connection.one(LiveKitKeyRow, "SELECT * FROM livekit_keys WHERE id = $1", key)
    if row is None:
        return None
    if row.last_used_at is None or datetime.now(UTC) - row.last_used_at > _NOTED:
        await connection.execute("UPDATE livekit_keys SET last_used_at = now() WHERE id = $1", key)
    return row.sealed_secret


async def existing(connection: Connection, keys: Collection[str]) -> set[str]:
    """Return those of the keys that exist."""
    found = await connection.fetch("SELECT id FROM livekit_keys WHERE id = ANY($1)", list(keys))
    return {row["id"] for row in found}


async def delete(connection: Connection, key: str) -> bool:
    return await connection.change("DELETE FROM livekit_keys WHERE id = $1", key)
