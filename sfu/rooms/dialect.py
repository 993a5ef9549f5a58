"""Differences of clients of another protocol, as far as they concern rooms."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from sfu.api.signaling_values import WantedTrack
from sfu.formats.data_message import DataMessage
from sfu.formats.sdp import Msid
from sfu.peers.data_channels import Labels
from sfu.peers.publish.uptrack import UpTrack


class DataPacket(NamedTuple):
    """A packet of a participant's data track; `data` has its publisher's header."""

    participant: str
    track: str
    data: bytes


class Dialect(Protocol):
    """The dialect of one participant, whose client identifies tracks by their descriptions and opens data channels in
    band.

    `publish_labels` are the labels of channels that the client opens, `subscribe_labels` of those that we open.
    """

    has_one_peer: bool
    """True if the client makes all offers, for one peer on which it publishes and receives."""
    publish_labels: Labels
    subscribe_labels: Labels

    def name_track(self, uptrack: UpTrack, *, again: bool) -> Msid:
        """Return the msid under which a track is shown; `again`: the section has shown another track before."""

    def read_data(self, data: bytes) -> DataMessage | None:
        """Return a message from its data channels, None for one without receivers; raises ValueError for an invalid
        one.
        """

    def chat_of(self, message: DataMessage) -> list[str]:
        """Return the chat message in a message from its data channels, if any; called once for each, in order."""

    def write_data(self, message: DataMessage, *, reliable: bool) -> bytes | None:
        """Return a message for its data channels, None if the client has no use for it; `names` is the sender."""

    def read_packet(self, data: bytes) -> "DataPacket | None":
        """Return a packet that came on the channel of data tracks, None if it is of no published track; raises
        ValueError for an invalid one.
        """

    def write_packet(self, packet: "DataPacket") -> bytes | None:
        """Return a packet for the channel of data tracks, None if the client has not subscribed to its track."""

    def take_token(self, token: str) -> None:
        """Note the access token for the room to which the client is about to be sent."""

    def take_wants(self, wants: Iterable[WantedTrack]) -> None:
        """Note that an application has chosen tracks for the client."""
