"""Stored responses to requests with an Idempotency-Key, so that repeating one has no effect."""

from dataclasses import dataclass

from control.database import Connection


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """`status` is None while the first request is in progress."""

    request_hash: bytes
    status: int | None
    answer: bytes | None


async def claim(connection: Connection, user: str, key: str, request_hash: bytes) -> KeptAnswer | None:
    """Return None if the key is new, and claim it for this request; else return its stored response."""
    new = await connection.fetchval(
        "INSERT INTO idempotency_keys (user_id, key, request_hash) VALUES ($1, $2, $3)"
        " ON CONFLICT (user_id, key) DO UPDATE SET request_hash = excluded.request_hash, created_at = now()"
        "  WHERE idempotency_keys.status IS NULL AND idempotency_keys.created_at < now() - interval '1 minute'"
        " RETURNING key",
        user,
        key,
        request_hash,
    )
    if new is not None:
        return None
    return await connection.one(KeptAnswer, "SELECT * FROM idempotency_keys WHERE user_id = $1 AND key = $2", user, key)


async def keep(connection: Connection, user: str, key: str, status: int, answer: bytes) -> None:
    await connection.execute(
        "UPDATE idempotency_keys SET status = $3, answer = $4 WHERE user_id = $1 AND key = $2",
        user,
        key,
        status,
        answer,
    )


async def release(connection: Connection, user: str, key: str) -> None:
    """Release a key whose request failed, so that it can be retried."""
    await connection.execute(
        "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND status IS NULL", user, key
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM idempotency_keys WHERE created_at < now() - interval '1 day'")
