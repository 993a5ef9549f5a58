"""Connects a peer's data channels to its DTLS: records become messages, and messages records."""

from collections import Counter
from collections.abc import Sequence

from sfu.peers.data_channels import DataChannels, DataItem, Labels, Sent
from sfu.peers.peer import Peer

_HELD_NS = 50_000_000
_MAX_HELD = 1024
"""The number of messages that may wait; their bytes are bounded by the window, if the far end obeys it."""


class DataPort:
    """The port of a peer that has data channels."""

    def __init__(self, peer: Peer, counters: Counter[str], labels: Labels | None) -> None:
        self.channels = DataChannels(counters, labels=labels)
        self._peer = peer
        self._held: list[DataItem] = []
        self._overflowed = 0
        self._again_at: int | None = None
        peer.take_data()

    def agree(self, accepted: bool, now: int, *, dtls_client: bool) -> None:
        """Take an answer, which says whether there are data channels."""
        self.channels.agree(accepted, now, dtls_client=dtls_client)
        self._send_records(now)

    def connect(self, now: int) -> None:
        """Start the association, since DTLS is done."""
        self.channels.connect(now)
        self._send_records(now)

    def take(self, now: int) -> list[DataItem]:
        """Return the messages that have come."""
        records = self._peer.data()
        came = self.channels.receive(records, now) if records else []
        if self._again_at is not None:
            came = self._take_held(came, now)
        if records or came:
            self._send_records(now)
        return came

    def _take_held(self, came: list[DataItem], now: int) -> list[DataItem]:
        """Return the messages that are due; reliable ones wait behind those that are held."""
        if self._again_at is not None and now < self._again_at:
            late = [message for message in came if message.reliable]
            self._overflowed = self.hold(late, self._again_at - _HELD_NS)
            return [message for message in came if not message.reliable]
        held = self.release()
        self.channels.give_back(sum(len(message.data) for message in held), now)
        return held + came

    def hold(self, messages: Sequence[DataItem], now: int) -> int:
        """Keep messages for a moment, to be taken again; meanwhile the far end may send correspondingly less.

        Return the number of messages dropped for lack of room since the last call, including these.
        """
        kept = messages[: max(_MAX_HELD - len(self._held), 0)]
        self._held += kept
        self._again_at = now + _HELD_NS
        self.channels.withhold(sum(len(message.data) for message in kept))
        refused, self._overflowed = len(messages) - len(kept) + self._overflowed, 0
        return refused

    def release(self) -> list[DataItem]:
        """Return the messages that wait, whether or not they are due."""
        held, self._held, self._again_at = self._held, [], None
        return held

    def send(self, message: DataItem, now: int) -> Sent:
        """Send a message; return its fate."""
        sent = self.channels.send(message, now)
        self._send_records(now)
        return sent

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, or `take`, in ns."""
        return min((at for at in (self.channels.timer(), self._again_at) if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Let the association retransmit what is due."""
        due = self.channels.timer()
        if due is not None and due <= now:
            self.channels.handle_timer(now)
            self._send_records(now)

    def _send_records(self, now: int) -> None:
        self._peer.send_data(self.channels.records_to_send(), now)
