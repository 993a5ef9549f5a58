"""API keys: random secrets, stored hashed, each with the scopes that it may use."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from control.database import Connection
from control.identifiers import new_id
from control.identity.tokens import digest
from control.store.users import UserRole

PREFIX = "parley_"


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The account of a valid key."""

    key: str
    scopes: list[str]
    user: str
    username: str
    display_name: str
    role: UserRole
    epoch: int


async def create(
    connection: Connection, user: str, name: str, scopes: list[str], expires_at: datetime | None
) -> tuple[ApiKeyRow, str]:
    """Insert a key and return its row and its secret, which is not stored."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return await connection.insert_new(
        ApiKeyRow,
        "api_keys",
        id=new_id("key"),
        user_id=user,
        name=name,
        key_hash=digest(secret),
        scopes=scopes,
        expires_at=expires_at,
    ), secret


async def holder(connection: Connection, secret: str) -> KeyHolder | None:
    """Return the holder of a key, or None if it is invalid; record its use, at most once a minute."""
    found = await connection.one(
        KeyHolder,
        "SELECT k.id AS key, k.scopes, u.id AS user, u.username, u.display_name, u.role, u.epoch"
        " FROM api_keys k JOIN users u ON u.id = k.user_id"
        " WHERE k.key_hash = $1 AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.state = 'active'",
        digest(secret),
    )
    if found is not None:
        await connection.execute(
            "UPDATE api_keys SET last_used_at = now() WHERE id = $1"
            " AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
            found.key,
        )
    return found


async def of_user(connection: Connection, user: str) -> list[ApiKeyRow]:
    return await connection.all(ApiKeyRow, "SELECT * FROM api_keys WHERE user_id = $1 ORDER BY created_at DESC", user)


async def delete(connection: Connection, user: str, key: str) -> bool:
    return await connection.change("DELETE FROM api_keys WHERE id = $1 AND user_id = $2", key, user)
