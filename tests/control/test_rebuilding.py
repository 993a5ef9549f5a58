"""Dropped tables of recordings are recreated as they were, with their dependents."""

import asyncpg
import pytest

from control.migrations.rebuilding import rebuild
from control.store.recordings import TABLES

SCHEMA = """
    SELECT 'column ' || table_name || ' ' || ordinal_position || ' ' || column_name || ' ' || data_type
        || ' ' || is_nullable || ' ' || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'view ' || viewname || definition FROM pg_views WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || replace(pg_get_constraintdef(oid), ' NOT VALID', '')
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1"""


@pytest.mark.parametrize("dropped", [*([one] for one in TABLES), list(TABLES)])
async def test_what_was_dropped_is_as_before(dsn: str, dropped: list[str]) -> None:
    connection = await asyncpg.connect(dsn)
    undone = connection.transaction()
    await undone.start()
    try:
        before = [row[0] for row in await connection.fetch(SCHEMA)]
        assert await rebuild(connection, TABLES) == []
        await connection.execute(f"DROP TABLE {', '.join(dropped)} CASCADE")
        assert [row[0] for row in await connection.fetch(SCHEMA)] != before
        assert await rebuild(connection, TABLES) == dropped
        assert [row[0] for row in await connection.fetch(SCHEMA)] == before
    finally:
        await undone.rollback()
        await connection.close()
