"""Index of peers, by number in the engine's table, and by ICE ufrag while no address is known."""

from typing import Generic, NamedTuple, TypeVar

from sfu.peers.duplex_peer import DuplexPeer
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room

RoomT = TypeVar("RoomT", bound=Room)


class Owner(NamedTuple, Generic[RoomT]):
    """The owner of a peer."""

    room: RoomT
    participant: Participant
    media: PublishPeer | SubscribePeer


def subscriber_of(media: PublishPeer | SubscribePeer) -> SubscribePeer | None:
    """Return a peer's sending side, if it has one."""
    if isinstance(media, SubscribePeer):
        return media
    return media.subscribe_peer if isinstance(media, DuplexPeer) else None


class PeerIndex(Generic[RoomT]):
    """All peers of a node."""

    def __init__(self) -> None:
        self._owners: dict[int, Owner[RoomT]] = {}
        self._ufrags: dict[str, int] = {}
        self._ufrags_of: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, owner: Owner[RoomT]) -> None:
        """Add a peer, or note that its ufrags changed; during an ICE restart it has two."""
        peer = owner.media.peer
        self._forget_ufrags(peer.number)
        self._owners[peer.number] = owner
        self._ufrags_of[peer.number] = peer.ufrags
        self._ufrags.update(dict.fromkeys(peer.ufrags, peer.number))

    def remove(self, number: int) -> None:
        self._owners.pop(number, None)
        self._forget_ufrags(number)

    def _forget_ufrags(self, number: int) -> None:
        for ufrag in self._ufrags_of.pop(number, ()):
            del self._ufrags[ufrag]

    def get(self, number: int) -> Owner[RoomT] | None:
        return self._owners.get(number)

    def by_ufrag(self, ufrag: str) -> Owner[RoomT] | None:
        number = self._ufrags.get(ufrag)
        return self._owners.get(number) if number is not None else None
