"""Trunks and dispatch rules of LiveKit's SIP service."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection

Kind = Literal["inbound", "outbound", "rule"]


@dataclass(frozen=True, slots=True)
class SipRow:
    """A trunk or a rule; `sealed` is the message that describes it, encrypted."""

    id: str
    kind: Kind
    sealed: str
    created_at: datetime


async def lock(connection: Connection) -> None:
    """Prevent other changes until the transaction ends, since trunks and rules may contradict each other."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('livekit_sip', 28))")


async def add(connection: Connection, key: str, kind: Kind, sealed: str) -> None:
    await connection.insert("livekit_sip", id=key, kind=kind, sealed=sealed)


async def change(connection: Connection, key: str, sealed: str) -> None:
    await connection.execute("UPDATE livekit_sip SET sealed = $2 WHERE id = $1", key, sealed)


async def delete(connection: Connection, key: str) -> None:
    await connection.execute("DELETE FROM livekit_sip WHERE id = $1", key)


async def by_id(connection: Connection, key: str) -> SipRow | None:
    return await connection.one(SipRow, "SELECT * FROM livekit_sip WHERE id = $1", key)


async def of_kind(connection: Connection, kind: Kind) -> list[SipRow]:
    """Return all trunks or rules of a kind, oldest first."""
    return await connection.all(SipRow, "SELECT * FROM livekit_sip WHERE kind = $1 ORDER BY created_at, id", kind)


async def version(connection: Connection) -> int:
    """Return the number of the latest change of a trunk or a rule."""
    return await connection.value(int, "SELECT coalesce(max(version), 0) FROM livekit_sip_version")


async def count(connection: Connection) -> int:
    return await connection.value(int, "SELECT count(*) FROM livekit_sip")
