"""A notice that is heard in a room, and those who hear it."""

from dataclasses import dataclass

from sfu.peers.publish.played_sound import PlayedSound
from sfu.rooms.participant import Participant


@dataclass(slots=True)
class Notice:
    """`listeners` are participants' ids. `sound` is None until they are connected; after its end the notice stays until
    `ends_at`.
    """

    participant: Participant
    language: str
    listeners: list[str]
    begun_at: int
    sound: PlayedSound | None = None
    ends_at: int | None = None
