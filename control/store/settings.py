"""Named values for internal use."""

from typing import Any

from control.database import Connection


async def lock(connection: Connection, name: str) -> None:
    """Lock a name until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)


async def get(connection: Connection, name: str) -> Any:
    return await connection.fetchval("SELECT value FROM system_configs WHERE name = $1", name)


async def put(connection: Connection, name: str, value: Any) -> None:
    await connection.insert(
        "system_configs",
        then="ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()",
        name=name,
        value=value,
    )


async def remove(connection: Connection, name: str) -> None:
    await connection.execute("DELETE FROM system_configs WHERE name = $1", name)
