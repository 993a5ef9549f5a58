"""Rooms that several nodes hold: which of ours spilled over from where, and the ties to the other nodes."""

from typing import TYPE_CHECKING, NamedTuple

from sfu.api.refusal import Code, Refused
from sfu.api.room_link import LinkMessage
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room
from sfu.rooms.room_link import RoomLink

if TYPE_CHECKING:
    from sfu.rooms.node import Node


class Home(NamedTuple):
    """The node that a room was placed on, and the URL of its HTTP."""

    node: str
    url: str


def set_spilled(node: "Node", room: str, home: Home) -> None:
    """A room that another node holds spills over to this one; raises Refused when there are too many.

    Whoever was expected may never have come: rooms that are not live give way to newer ones.
    """
    if room not in node.spilled_from and len(node.spilled_from) >= node.context.limits.rooms:
        stale = next((name for name in node.spilled_from if name not in node.rooms), None)
        if stale is None:
            raise Refused(Code.FULL, "This server takes no more meetings.")
        del node.spilled_from[stale]
    node.spilled_from[room] = home
    live = node.rooms.get(room)
    if live is not None:
        live.is_secondary = True
        node.context.outbox.rooms_opened.append(room)


def open_link(node: "Node", name: str, other: str, ends: tuple[LocalEndpoint, LocalEndpoint], now: int) -> RoomLink:
    """Tie a room to another node that holds it; `ends` are where we receive and where we send from. Raises Refused."""
    room = node.open_room(name, now, 0)
    for link in [entry for entry in room.links.values() if entry.node == other]:
        link.close(now)
    link = RoomLink(room, other, *ends, now)
    node.links[link.number] = link
    node.settle(now)
    return link


def link_message(node: "Node", number: int, message: LinkMessage, now: int) -> None:
    """Take what the other side of a link says; ValueError for what is of no use."""
    link = node.links.get(number)
    if link is not None:
        link.receive(message, now)
        node.settle(now)


def link_lost(node: "Node", number: int, now: int) -> None:
    """A link's other side is gone."""
    link = node.links.pop(number, None)
    if link is not None and number in link.room.links:
        link.close(now)
        node.close_if_empty(link.room, now)
        node.settle(now)


def close_links(room: Room, now: int) -> None:
    """End all ties of a room."""
    for link in list(room.links.values()):
        link.close(now)


def holds_open(room: Room, participant: Participant) -> bool:
    """Whether a room stays open for this participant: transports do not count, nor, on a further node, remote ones."""
    return not participant.plain and not (room.is_secondary and participant.link is not None)
