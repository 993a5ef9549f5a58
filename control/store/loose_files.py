"""Loose files: files in the store without a row, because their upload or deletion is in progress."""

from collections.abc import Sequence

from control.database import Connection

LEASE_SECONDS = 3600
_AT_ONCE = 1000


async def reserve(connection: Connection, file: str, owner: str, size: int) -> None:
    """Record that `file` is being uploaded and takes up to `size` bytes of its owner's quota."""
    await connection.execute(
        "INSERT INTO loose_files (id, owner_id, bytes, until) VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
        file,
        owner,
        size,
        LEASE_SECONDS,
    )


async def renew(connection: Connection, file: str) -> None:
    """Renew the reservation of a running upload."""
    await connection.execute(
        "UPDATE loose_files SET until = now() + make_interval(secs => $2) WHERE id = $1 AND owner_id IS NOT NULL",
        file,
        LEASE_SECONDS,
    )


async def keep(connection: Connection, file: str) -> bool:
    """Record that a row now refers to an uploaded file; return False if the file was given up meanwhile."""
    return await connection.change("DELETE FROM loose_files WHERE id = $1 AND owner_id IS NOT NULL", file)


async def loosen(connection: Connection, files: Sequence[str]) -> None:
    """Mark files for deletion, in the transaction that deletes their rows."""
    await connection.execute(
        "INSERT INTO loose_files (id, until) SELECT unnest($1::text[]), now() + make_interval(secs => $2)"
        " ON CONFLICT (id) DO UPDATE SET owner_id = NULL, bytes = 0",
        list(files),
        LEASE_SECONDS,
    )


async def settle(connection: Connection, files: Sequence[str]) -> None:
    """Unmark files that are deleted or that a row refers to."""
    await connection.execute("DELETE FROM loose_files WHERE id = ANY($1::text[])", list(files))


async def claim_lapsed(connection: Connection) -> list[str]:
    """Return the files of interrupted uploads and deletions, to be deleted. No upload can keep them any more."""
    return await connection.column(
        "UPDATE loose_files SET owner_id = NULL, bytes = 0, until = now() + make_interval(secs => $1)"
        " WHERE id IN (SELECT id FROM loose_files WHERE until < now() LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id",
        LEASE_SECONDS,
        _AT_ONCE,
    )
