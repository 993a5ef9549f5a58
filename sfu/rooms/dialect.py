"""The ways in which clients of another protocol differ, as far as rooms must know of them."""

from collections.abc import Iterable
from typing import Protocol

from sfu.api.signaling_values import WantedTrack
from sfu.formats.data_message import DataMessage
from sfu.formats.sdp import Msid
from sfu.peers.data_channels import Labels
from sfu.peers.publish.uptrack import UpTrack


class Dialect(Protocol):
    """Of one participant. Its client knows tracks by their descriptions, and opens data channels in band.

    `publish_labels` are those of the channels that the client opens, `subscribe_labels` of those that are opened to it.
    """

    publish_labels: Labels
    subscribe_labels: Labels

    def name_track(self, uptrack: UpTrack, *, again: bool) -> Msid:
        """Return the msid under which a track is shown; `again`: by a section that has shown another one."""

    def read_data(self, data: bytes) -> DataMessage | None:
        """Return a message of its data channels, None for one that is for nobody; ValueError for nonsense."""

    def take_chat(self) -> list[str]:
        """Return what the messages read since the last call said in chat, too."""

    def write_data(self, message: DataMessage, *, reliable: bool) -> bytes | None:
        """Return a message to its data channels, None for one that it has no use for; `names` is the sender."""

    def take_wants(self, wants: Iterable[WantedTrack]) -> None:
        """Take it that an application has chosen tracks for the client."""
