"""Rebuilding of lost tables and their indexes from the statements of the migrations that created them.

Views over them, and foreign keys of remaining tables, are rebuilt too.
"""

import re
from collections.abc import Iterator, Sequence

import asyncpg

from control.migrations import available

_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


async def rebuild(connection: "asyncpg.Connection[asyncpg.Record]", tables: Sequence[str]) -> list[str]:
    """Create those of `tables` that are missing, empty, and return their names."""
    async with connection.transaction():
        missing = [one for one in tables if await connection.fetchval("SELECT to_regclass($1) IS NULL", one)]
        if missing:
            for statement in statements_about(missing):
                await connection.execute(statement)
    return missing


def statements_about(tables: Sequence[str]) -> Iterator[str]:
    """Yield the statements that create these tables and their dependents, in order."""
    names = "|".join(tables)
    index_or_trigger = r"CREATE (UNIQUE )?INDEX \w+ ON|CREATE TRIGGER \w+ (BEFORE|AFTER) [A-Z ]+ ON"
    own = re.compile(rf"(CREATE TABLE|ALTER TABLE|{index_or_trigger}) ({names})\b")
    view = re.compile(rf"CREATE VIEW .*\b({names})\b", re.DOTALL)
    foreign = re.compile(rf"^\s*(\w+) \w+.*?( REFERENCES ({names})\b[^,\n]*)", re.MULTILINE)
    for migration in available():
        for statement in _COMMENT.sub("", migration.sql).split(";\n"):
            text = statement.strip()
            if own.match(text) or view.match(text):
                yield text
            elif other := re.match(r"CREATE TABLE (\w+)", text):
                for column in foreign.finditer(text):
                    # NOT VALID, since rows may refer to recordings that are yet to be found.
                    yield f"ALTER TABLE {other[1]} ADD FOREIGN KEY ({column[1]}){column[2]} NOT VALID"
