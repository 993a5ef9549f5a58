"""Connects a peer's data channels to its DTLS: records become messages, and messages records."""

from collections import Counter

from sfu.peers.data_channels import Came, DataChannels, Labels, Sent
from sfu.peers.peer import Peer


class DataPort:
    """The port of a peer that has data channels."""

    def __init__(self, peer: Peer, counters: Counter[str], labels: Labels | None) -> None:
        self.channels = DataChannels(counters, labels=labels)
        self._peer = peer
        peer.take_data()

    def agree(self, accepted: bool, now: int, *, dtls_client: bool) -> None:
        """Take an answer, which says whether there are data channels."""
        self.channels.agree(accepted, now, dtls_client=dtls_client)
        self._send_records(now)

    def connect(self, now: int) -> None:
        """Start the association, since DTLS is done."""
        self.channels.connect(now)
        self._send_records(now)

    def take(self, now: int) -> list[Came]:
        """Return the messages that have come."""
        records = self._peer.data()
        if not records:
            return []
        came = self.channels.receive(records, now)
        self._send_records(now)
        return came

    def send(self, message: bytes, now: int, *, reliable: bool) -> Sent:
        """Send a message; return its fate."""
        sent = self.channels.send(message, now, reliable=reliable)
        self._send_records(now)
        return sent

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns."""
        return self.channels.timer()

    def handle_timer(self, now: int) -> None:
        """Let the association retransmit what is due."""
        due = self.channels.timer()
        if due is not None and due <= now:
            self.channels.handle_timer(now)
            self._send_records(now)

    def _send_records(self, now: int) -> None:
        self._peer.send_data(self.channels.records_to_send(), now)
