"""Operator commands that work directly on the database. No server has to be running."""

from typing import Any

from control.database import session
from control.identity.passwords import Passwords
from control.store import audit, users
from control.store.users import UserRow


class NoSuchUser(LookupError):
    """No account has this name or address."""


async def create_admin(dsn: str, username: str, password: str, email: str | None = None) -> str:
    """Create an administrator and return its id; raises Problem 409 if the name is taken."""
    hashed = await _hash(password)
    async with session(dsn) as connection, connection.transaction():
        user = await users.create(
            connection, username=username, email=email, display_name=username, password_hash=hashed, role="admin"
        )
        await audit.write(connection, None, "create_admin", user.id, "command line")
    return user.id


async def reset_password(dsn: str, login: str, password: str) -> None:
    """Set a new password and end every session of the account; raises NoSuchUser."""
    hashed = await _hash(password)
    async with session(dsn) as connection, connection.transaction():
        user = await users.by_login(connection, login)
        if user is None:
            raise NoSuchUser(login)
        await users.set_password(connection, user.id, hashed)
        await audit.write(connection, None, "reset_password", user.id, "command line")


async def find_user(dsn: str, login: str) -> UserRow:
    """Return the account with this name or address; raises NoSuchUser."""
    async with session(dsn) as connection:
        user = await users.by_login(connection, login)
    if user is None:
        raise NoSuchUser(login)
    return user


async def note(dsn: str, action: str, target: str) -> None:
    """Write a command-line action to the audit log."""
    async with session(dsn) as connection:
        await audit.write(connection, None, action, target, "command line")


async def export_user(dsn: str, login: str) -> dict[str, list[dict[str, Any]]]:
    """Return every row about an account, by table, without secrets; raises NoSuchUser."""
    exported: dict[str, list[dict[str, Any]]] = {}
    async with session(dsn) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        user = await users.by_login(connection, login)
        if user is None:
            raise NoSuchUser(login)
        for table, query in _EXPORTS.items():
            rows = await connection.fetch(query, user.id)
            exported[table] = [{name: value for name, value in row.items() if name not in _SECRETS} for row in rows]
    return exported


_SECRETS = frozenset(
    {
        "password_hash",
        "passcode_hash",
        "rejoin_hash",
        "key_hash",
        "token_hash",
        "ticket_hash",
        "code_hash",
        "totp_secret",
        "secret",
        "public_key",
    }
)
_EXPORTS = {
    "users": "SELECT * FROM users WHERE id = $1",
    "user_sessions": "SELECT * FROM user_sessions WHERE user_id = $1",
    "api_keys": "SELECT * FROM api_keys WHERE user_id = $1",
    "passkeys": "SELECT * FROM passkeys WHERE user_id = $1",
    "user_identities": "SELECT * FROM user_identities WHERE user_id = $1",
    "invitations": "SELECT * FROM invitations WHERE created_by = $1",
    "lobby_entries": "SELECT * FROM lobby_entries WHERE user_id = $1",
    "recording_links": "SELECT * FROM recording_links WHERE created_by = $1",
    "signed_links": "SELECT * FROM signed_links WHERE created_by = $1",
    "stream_keys": "SELECT * FROM stream_keys WHERE created_by = $1",
    "ai_tasks": "SELECT t.* FROM ai_tasks t JOIN media_files f ON f.id = t.file_id WHERE f.owner_id = $1",
    "media_streams": (
        "SELECT x.* FROM media_streams x JOIN meeting_participants p ON p.id = x.participant_id WHERE p.user_id = $1"
    ),
    "webhooks": "SELECT * FROM webhooks WHERE user_id = $1",
    "meetings": "SELECT * FROM meetings WHERE host_id = $1",
    "meeting_participants": "SELECT * FROM meeting_participants WHERE user_id = $1",
    "media_files": "SELECT * FROM media_files WHERE owner_id = $1",
    "processing_jobs": "SELECT * FROM processing_jobs WHERE owner_id = $1",
    "meeting_recordings": (
        "SELECT r.* FROM meeting_recordings r JOIN meetings m ON m.id = r.meeting_id WHERE m.host_id = $1"
    ),
    "signaling_messages": (
        "SELECT x.* FROM signaling_messages x JOIN meeting_participants p ON p.id = x.participant_id"
        " WHERE p.user_id = $1"
    ),
    "message_reactions": (
        "SELECT x.* FROM message_reactions x JOIN meeting_participants p ON p.id = x.participant_id"
        " WHERE p.user_id = $1"
    ),
    "captions": (
        "SELECT x.* FROM captions x JOIN meeting_participants p ON p.id = x.participant_id WHERE p.user_id = $1"
    ),
    "consents": (
        "SELECT x.* FROM consents x JOIN meeting_participants p ON p.id = x.participant_id WHERE p.user_id = $1"
    ),
    "signaling_sessions": (
        "SELECT x.* FROM signaling_sessions x JOIN meeting_participants p ON p.id = x.participant_id"
        " WHERE p.user_id = $1"
    ),
    "operation_logs": "SELECT * FROM operation_logs WHERE actor = $1 OR target = $1",
}


async def _hash(password: str) -> str:
    hasher = Passwords(threads=1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()
