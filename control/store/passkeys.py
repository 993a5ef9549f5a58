"""Passkeys of accounts, and challenges of ceremonies in progress."""

import secrets
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from control.database import Connection
from control.identifiers import new_id
from control.identity.passkeys import SECONDS, NewCredential
from control.identity.tokens import digest
from control.problem import Problem


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    id: str
    user_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


async def new_challenge(connection: Connection, user: str | None) -> bytes:
    """Return a challenge that can be answered once: by `user` with a new passkey, or by anyone with an existing one."""
    challenge = secrets.token_bytes(32)
    await connection.execute(
        "INSERT INTO passkey_challenges (challenge_hash, user_id, expires_at)"
        " VALUES ($1, $2, now() + make_interval(secs => $3))",
        digest(challenge.hex()),
        user,
        SECONDS,
    )
    return challenge


async def use_challenge(connection: Connection, challenge: bytes, user: str | None) -> bool:
    """Use up a challenge; return False if it was not issued to `user`, was used, or is too old."""
    return await connection.change(
        "DELETE FROM passkey_challenges WHERE challenge_hash = $1 AND user_id IS NOT DISTINCT FROM $2"
        " AND expires_at > now()",
        digest(challenge.hex()),
        user,
    )


async def add(connection: Connection, user: str, name: str, credential: NewCredential) -> PasskeyRow:
    """Insert a passkey; raises Problem 409 if it is already registered."""
    try:
        return await connection.insert_new(
            PasskeyRow,
            "passkeys",
            id=new_id("passkey"),
            user_id=user,
            credential_id=credential.credential_id,
            public_key=credential.public_key,
            sign_count=credential.sign_count,
            name=name,
        )
    except asyncpg.UniqueViolationError as error:
        raise Problem(409, "passkey_exists", "This passkey is already registered.") from error


async def of_user(connection: Connection, user: str) -> list[PasskeyRow]:
    return await connection.all(PasskeyRow, "SELECT * FROM passkeys WHERE user_id = $1 ORDER BY created_at, id", user)


async def by_credential(connection: Connection, credential_id: bytes) -> PasskeyRow | None:
    """Return a passkey, locked so that its count is not used twice at once."""
    return await connection.one(
        PasskeyRow, "SELECT * FROM passkeys WHERE credential_id = $1 FOR NO KEY UPDATE", credential_id
    )


async def note_use(connection: Connection, passkey: str, sign_count: int) -> None:
    await connection.execute(
        "UPDATE passkeys SET sign_count = $2, last_used_at = now() WHERE id = $1", passkey, sign_count
    )


async def remove(connection: Connection, user: str, passkey: str) -> bool:
    return await connection.change("DELETE FROM passkeys WHERE id = $1 AND user_id = $2", passkey, user)


async def forget_old_challenges(connection: Connection) -> None:
    await connection.execute("DELETE FROM passkey_challenges WHERE expires_at < now()")
