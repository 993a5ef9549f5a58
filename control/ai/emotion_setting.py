"""The switch for emotion analysis, which an administrator sets after acknowledging what the law forbids."""

from datetime import UTC, datetime
from typing import Any

from control.database import Connection
from control.store import audit, settings

STATEMENT_VERSION = "eu-ai-act-5-1-f/1"
STATEMENT = (
    "Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), prohibits “the placing on the market, the putting into"
    " service for this specific purpose, or the use of AI systems to infer emotions of a natural person in the areas of"
    " workplace and education institutions, except where the use of the AI system is intended to be put in place or"
    " into the market for medical or safety reasons”. By switching emotion analysis on, you state that this server is"
    " not used in those areas, or for those reasons alone; every participant is asked for consent besides."
)
_NAME = "ai.emotion"


async def is_on(connection: Connection) -> bool:
    """Return whether an administrator has switched it on and acknowledged the current statement."""
    value: Any = await settings.get(connection, _NAME)
    return isinstance(value, dict) and value.get("statement") == STATEMENT_VERSION


async def switch(connection: Connection, actor: str, address: str, *, on: bool) -> None:
    """Switch it on or off and log who did so, in the caller's transaction."""
    if on:
        at = datetime.now(UTC).isoformat()
        await settings.put(connection, _NAME, {"statement": STATEMENT_VERSION, "by": actor, "at": at})
    else:
        await settings.remove(connection, _NAME)
    action = "switch_emotion_on" if on else "switch_emotion_off"
    await audit.write(connection, actor, action, None, address, statement=STATEMENT_VERSION)
