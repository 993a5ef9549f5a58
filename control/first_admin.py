"""First administrator: a one-time token, issued while no account exists.

The database stores the token's hash, so any control process accepts it. The token itself is only in a 0600 file and on
the supervisor's terminal.
"""

import hmac
import os
import secrets
from pathlib import Path

from control.config import ControlConfig
from control.database import Connection, Pool
from control.identity.tokens import digest
from control.store import settings, users

_FILE = "first-admin-link"
_SETTING = "first_admin_token"


async def prepare(config: ControlConfig, pool: Pool) -> str | None:
    """Return the path and query of the one-time link (`/setup?token=…`) while no account exists, otherwise None.

    Each start returns the same link until it is used. The link is also in the file `first-admin-link` in the data
    directory.
    """
    path = config.data_dir / _FILE
    async with pool.acquire() as connection, connection.transaction():
        await settings.lock(connection, _SETTING)
        if await users.any_exists(connection):
            path.unlink(missing_ok=True)
            return None
        stored = await settings.get(connection, _SETTING)
        token = _read(path)
        if token is None or stored != digest(token).hex():
            token = secrets.token_urlsafe(24)
            await settings.put(connection, _SETTING, digest(token).hex())
            _write(path, token)
    return f"/setup?token={token}"


def link_file(config: ControlConfig) -> Path:
    """Return the path of the file that contains the link while it is valid."""
    return config.data_dir / _FILE


async def redeem(connection: Connection, token: str) -> bool:
    """Use up the token; return False if it is wrong or accounts exist. Needs a transaction."""
    await settings.lock(connection, _SETTING)
    stored = await settings.get(connection, _SETTING)
    if not isinstance(stored, str) or not hmac.compare_digest(stored, digest(token).hex()):
        return False
    if await users.any_exists(connection):
        return False
    await settings.remove(connection, _SETTING)
    return True


def _read(path: Path) -> str | None:
    try:
        _, _, token = path.read_text(encoding="utf-8").strip().partition("token=")
    except FileNotFoundError:
        return None
    return token or None


def _write(path: Path, token: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"/setup?token={token}\n")
