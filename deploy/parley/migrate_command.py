"""`parley migrate`: upgrade the database to this version."""

import argparse
import asyncio
import sys

from control.migrations import MigrationError, migrate
from foundation.settings import Settings
from parley.part_configs import embedded_postgres


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Apply or list the missing migrations; return the exit code."""
    dsn = settings["database_url"] or embedded_postgres(settings).dsn
    try:
        applied = asyncio.run(migrate(dsn, dry_run=chosen.dry_run))
    except (MigrationError, OSError) as error:
        print(f"parley: cannot migrate: {error}", file=sys.stderr)
        return 1
    verb = "would apply" if chosen.dry_run else "applied"
    print(*(f"{verb} {name}" for name in applied) if applied else ["the database is up to date"], sep="\n")
    return 0
