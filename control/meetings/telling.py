"""Events and audit entries about actions on a participant."""

from typing import Protocol

from control.database import Connection
from control.store import audit, outbox


class Doer(Protocol):
    """The person who acted, and their address."""

    @property
    def actor(self) -> str: ...

    @property
    def address(self) -> str: ...


async def tell(doer: Doer, connection: Connection, meeting: str, kind: str, participant: str, **detail: object) -> None:
    payload = {"meeting": meeting, "participant": participant, "by": doer.actor, **detail}
    await outbox.append(connection, outbox.MEETING_EVENTS, meeting, kind, payload)
    await audit.write(connection, doer.actor, kind, participant, doer.address, meeting=meeting, **detail)
