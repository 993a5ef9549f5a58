"""The rooms' output for the owner of the sockets: datagrams, messages, facts. It is drained after every step."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from sfu.api.cascade_link import LinkMessage
from sfu.api.facts import AnyFact
from sfu.api.signaling import Message
from sfu.engine.contract import Outgoing


class SessionClose(NamedTuple):
    """Close a signaling session (codes: RFC 6455, section 7.4) once its messages are sent."""

    session: int
    code: int
    reason: str


class Failure(NamedTuple):
    """A failure in a room: `what` failed, and the content of its flight recorder (rooms.flight_dump)."""

    room: str
    dump: bytes
    what: str
    is_fault: bool = False


@dataclass(slots=True)
class Outbox:
    """The results of a step, in order. `to_sessions` holds messages and closes of all sessions in one sequence."""

    datagrams: list[Outgoing] = field(default_factory=list)
    to_sessions: list[tuple[int, Message] | SessionClose] = field(default_factory=list)
    facts: list[AnyFact] = field(default_factory=list)
    rooms_opened: list[str] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    """The epoch of each live room's placement, for its facts."""
    to_links: list[tuple[int, LinkMessage]] = field(default_factory=list)
    links_to_close: list[int] = field(default_factory=list)
    sockets_to_shut: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Warnings for the operator, once for each cause."""

    def send(self, datagrams: Iterable[Outgoing]) -> None:
        self.datagrams.extend(datagrams)

    def tell(self, session: int | None, message: Message) -> None:
        """Send a message to a session; None (no socket at the moment, or a WHIP or WHEP participant) drops it."""
        if session is not None:
            self.to_sessions.append((session, message))

    def close(self, session: int | None, code: int, reason: str) -> None:
        if session is not None:
            self.to_sessions.append(SessionClose(session, code, reason))

    def report(self, fact: AnyFact) -> None:
        epoch = self.epochs.get(fact.room, 0)
        self.facts.append(msgspec.structs.replace(fact, epoch=epoch) if epoch else fact)
