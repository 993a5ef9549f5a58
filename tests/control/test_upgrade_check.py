"""`parley upgrade --check`: it names changes and obstacles of an upgrade, and changes nothing."""

import argparse
import asyncio
from pathlib import Path

import asyncpg
import pytest

from foundation.settings import resolve
from parley import upgrade_command


async def test_pending_migrations_backups_and_settings(
    dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {
        "PARLEY_DATA_DIR": str(tmp_path),
        "PARLEY_DATABASE_URL": dsn,
        "PARLEY_NODE_SECRET": "s" * 32,
        "PARLEY_HTTP3": "on",
    }

    async def checked(backup: Path | None = None) -> tuple[int, str]:
        chosen = argparse.Namespace(check=True, backup=None if backup is None else str(backup))
        code = await asyncio.to_thread(upgrade_command.main, resolve({}, environment), chosen)
        return code, capsys.readouterr().out

    code, said = await checked()
    assert code == 0 and "none to apply" in said and "http3 has no effect" in said, said
    code, said = await checked(tmp_path / "backups")
    assert code == 1 and "has none that is complete" in said, said
    connection = await asyncpg.connect(dsn)
    last = await connection.fetchrow("SELECT * FROM schema_migrations ORDER BY number DESC LIMIT 1")
    await connection.execute("DELETE FROM schema_migrations WHERE number = $1", last["number"])
    try:
        code, said = await checked()
        assert code == 0 and f"would apply {last['number']:04}_{last['name']}" in said, said
        assert await connection.fetchval("SELECT count(*) FROM schema_migrations") == last["number"] - 1
    finally:
        await connection.execute("INSERT INTO schema_migrations VALUES ($1, $2, $3, $4, $5)", *last.values())
        await connection.close()
    environment["PARLEY_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    code, said = await checked()
    assert code == 1 and "does not answer" in said, said
