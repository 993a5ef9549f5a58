"""Second factors of accounts: sealed TOTP secrets and recovery codes."""

from dataclasses import dataclass

from control.database import Connection
from control.identity.tokens import digest


@dataclass(frozen=True, slots=True)
class SecondFactor:
    totp_secret: str | None
    totp_confirmed: bool
    totp_last_step: int


async def of_user(connection: Connection, user: str) -> SecondFactor | None:
    """Return an account's second factor, locked so that no code is used twice at once."""
    return await connection.one(SecondFactor, "SELECT * FROM users WHERE id = $1 FOR NO KEY UPDATE", user)


async def begin(connection: Connection, user: str, secret: str) -> None:
    await connection.execute(
        "UPDATE users SET totp_secret = $2, totp_confirmed = false, totp_last_step = 0 WHERE id = $1", user, secret
    )


async def reseal(connection: Connection, user: str, before: str, sealed: str) -> None:
    """Seal a secret that an earlier release stored unsealed."""
    await connection.execute(
        "UPDATE users SET totp_secret = $3 WHERE id = $1 AND totp_secret = $2", user, before, sealed
    )


async def use_step(connection: Connection, user: str, step: int) -> None:
    await connection.execute("UPDATE users SET totp_last_step = $2 WHERE id = $1", user, step)


async def confirm(connection: Connection, user: str, step: int, codes: list[str]) -> None:
    """Turn the second factor on, with new recovery codes."""
    await connection.execute("UPDATE users SET totp_confirmed = true, totp_last_step = $2 WHERE id = $1", user, step)
    await connection.execute("DELETE FROM recovery_codes WHERE user_id = $1", user)
    await connection.executemany(
        "INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)", [(user, digest(code)) for code in codes]
    )


async def remove(connection: Connection, user: str) -> None:
    await connection.execute(
        "UPDATE users SET totp_secret = NULL, totp_confirmed = false, totp_last_step = 0 WHERE id = $1", user
    )
    await connection.execute("DELETE FROM recovery_codes WHERE user_id = $1", user)


async def use_recovery_code(connection: Connection, user: str, code: str) -> bool:
    return await connection.change(
        "DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2", user, digest(code)
    )
