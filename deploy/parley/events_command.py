"""`parley events replay`: publish events again that Kafka refused."""

import argparse
import asyncio

import asyncpg

from foundation.failures import describe
from foundation.settings import Settings
from parley.part_configs import embedded_postgres, kafka_access


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Replay; return the exit code: 1 if an event was refused again."""
    access = kafka_access(settings)
    if access is None:
        print("parley: kafka_brokers is not set, so there are no dead letters")
        return 2
    # Imported only if it is configured, because it is an extra.
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from control.events.dead_letters import replay  # noqa: PLC0415

    dsn = settings["database_url"] or embedded_postgres(settings).dsn
    try:
        outcome = asyncio.run(replay(dsn, access))
    except (OSError, KafkaError, asyncpg.PostgresError) as error:
        print(f"parley: cannot replay: {describe(error)}")
        return 1
    print(f"published {outcome.published}, refused again {outcome.refused}")
    return 1 if outcome.refused else 0
