"""Answers to offers that were negotiated by polling REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from control.database import Connection, load_one

Purpose = Literal["publish", "play"]


@dataclass(frozen=True, slots=True)
class PeerRow:
    participant_id: str
    purpose: Purpose
    answer: str
    location: str
    answered_at: datetime


async def keep(connection: Connection, participant: str, purpose: Purpose, answer: str, location: str) -> None:
    """Keep an answer in place of the participant's earlier one."""
    await connection.execute(
        "INSERT INTO webrtc_peers (participant_id, purpose, answer, location) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (participant_id) DO UPDATE SET purpose = excluded.purpose, answer = excluded.answer,"
        " location = excluded.location, answered_at = now()",
        participant,
        purpose,
        answer,
        location,
    )


async def of_participant(connection: Connection, participant: str) -> PeerRow | None:
    row = await connection.fetchrow("SELECT * FROM webrtc_peers WHERE participant_id = $1", participant)
    return load_one(PeerRow, row)
