"""Indexes of foreign keys: without one, each deletion scans the whole referring table."""

import asyncpg

_UNINDEXED = """
    SELECT c.conrelid::regclass::text || ' (' || string_agg(a.attname, ', ' ORDER BY k.place) || ')'
    FROM pg_constraint c
    CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(column_number, place)
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.column_number
    WHERE c.contype = 'f' AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indisvalid
        -- the key's columns come first, in any order
        AND (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey
        -- a partial index serves where it leaves out nulls alone: they refer to nothing
        AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', (
            SELECT attname FROM pg_attribute WHERE attrelid = c.conrelid AND attnum = c.conkey[1])))
    )
    GROUP BY c.oid, c.conrelid ORDER BY 1"""


async def test_every_foreign_key_has_an_index(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        assert [row[0] for row in await connection.fetch(_UNINDEXED)] == []
        assert await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") > 30
        # The test must find a missing index: without its index, a key is reported.
        await connection.execute("BEGIN; DROP INDEX breakout_assignments_breakout")
        assert [row[0] for row in await connection.fetch(_UNINDEXED)] == ["breakout_assignments (breakout_id)"]
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()
