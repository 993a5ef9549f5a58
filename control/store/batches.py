"""Numbers of the ingested batches of facts."""

from control.database import Connection


async def claim(connection: Connection, node: str, boot: str, n: int) -> bool:
    """Record a batch; return False if it was ingested before. Needs the transaction that writes its facts."""
    return await connection.insert("fact_batches", then="ON CONFLICT DO NOTHING", node=node, boot=boot, n=n)


async def forget_old(connection: Connection) -> None:
    """Drop batches older than a day, since reporters repeat within seconds."""
    await connection.execute("DELETE FROM fact_batches WHERE received_at < now() - interval '1 day'")
