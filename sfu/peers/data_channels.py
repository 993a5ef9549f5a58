"""The data channels of a peer: one reliable (in order), one lossy (sent once), and perhaps a lossy one for data tracks.

The first two are negotiated by id (RELIABLE and LOSSY), or all are opened in band under labels (`Labels`), by us or by
the far end: each side opens the channels that it sends on. Channels with other labels are ignored.

At most MAX_BUFFERED_BYTES wait for each subscriber. Beyond that a lossy message is dropped, and a reliable one, which
must not be lost, closes its channel. Other subscribers are not affected.
"""

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from sfu.formats import dcep
from sfu.formats.data_message import MAX_MESSAGE_BYTES
from sfu.formats.dcep import Opening
from sfu.machines.sctp_association import SctpAssociation, SctpMessage

RELIABLE, LOSSY = 0, 1
_OUTSIDE = -1  # the stream of a channel that does not exist
MAX_BUFFERED_BYTES = 1_000_000

_OVERHEAD_BYTES = 64  # the least that a message counts, which bounds the number of small ones
_BINARY = 53  # payload protocol identifier (RFC 8831, section 8)


class Labels(NamedTuple):
    """The labels under which the channels are opened in band, and whether we open them."""

    reliable: str
    lossy: str
    tracks: str
    ours: bool


class Sent(Enum):
    """The fate of a message; the values are names of counters."""

    TAKEN = "data_sent"
    BUFFER_FULL = "data_dropped_buffer_full"
    OVERFLOWED = "data_channel_overflowed"
    NO_CHANNEL = "data_dropped_no_channel"


class DataItem(NamedTuple):
    """A message of a channel; `of_track`: it is a packet of a data track."""

    data: bytes
    reliable: bool
    of_track: bool = False


class Unfit(Enum):
    """The reasons for ignoring a message from the subscriber; the values are names of counters."""

    TOO_LONG = "data_dropped_too_long"
    NOT_BINARY = "data_dropped_not_binary"
    UNKNOWN_CHANNEL = "data_dropped_unknown_channel"
    CLOSED_CHANNEL = "data_dropped_closed_channel"
    BAD_OPENING = "data_dropped_bad_opening"


class DataChannels:
    """The channels. Until the answer has arrived and the peer is connected, messages wait within the same bound.

    If channels are opened in band, none exists before that, and no messages wait.
    """

    def __init__(
        self,
        counters: Counter[str] | None = None,
        *,
        longest: int = MAX_MESSAGE_BYTES,
        labels: Labels | None = None,
    ) -> None:
        """`counters` counts ignored messages, such as those longer than `longest`, and broken associations by
        reason.
        """
        self._counters = counters if counters is not None else Counter()
        self._longest = longest
        self._association = SctpAssociation()
        self._agreed: bool | None = None
        self._connected = False
        self._started = False
        self._closed: set[int] = set()
        self._labels = labels
        self._reliable, self._lossy = (RELIABLE, LOSSY) if labels is None else (_OUTSIDE, _OUTSIDE)
        self._tracks = _OUTSIDE

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent or acknowledged."""
        return self._association.buffered

    @property
    def is_open(self) -> bool:
        return self._association.established

    def agree(self, accepted: bool, now: int, *, dtls_client: bool = False) -> None:
        """Take an answer, which says whether there are data channels; only the first one counts.

        The DTLS client opens channels on even streams, the DTLS server on odd ones (RFC 8832, section 6).
        """
        if self._agreed is None:
            self._agreed = accepted
            if self._labels is not None and self._labels.ours:
                self._reliable, self._lossy, self._tracks = (0, 2, 4) if dtls_client else (1, 3, 5)
            self._start(now)

    def connect(self, now: int) -> None:
        """Start the association, once DTLS is done."""
        self._connected = True
        self._start(now)

    def _start(self, now: int) -> None:
        if self._agreed and self._connected and not self._started:
            self._started = True
            self._association.start(now)
            if self._labels is not None and self._labels.ours:
                self._say(self._reliable, dcep.serialize(Opening(self._labels.reliable)), now)
                self._say(self._lossy, dcep.serialize(Opening(self._labels.lossy, False, 0)), now)
                self._say(self._tracks, dcep.serialize(Opening(self._labels.tracks, False, 0)), now)

    def _say(self, stream: int, data: bytes, now: int) -> None:
        self._association.send(SctpMessage(stream, dcep.PROTOCOL, data), now)

    def send(self, message: DataItem, now: int) -> Sent:
        """Send a message; return its fate. After OVERFLOWED the reliable channel stays closed."""
        association, (data, reliable, of_track) = self._association, message
        stream = self._tracks if of_track else self._reliable if reliable else self._lossy
        is_early = self._labels is not None and not self._started
        is_gone = stream in self._closed or stream == _OUTSIDE or is_early
        if self._agreed is False or association.close_reason or is_gone:
            return Sent.NO_CHANNEL
        size = max(len(data), _OVERHEAD_BYTES)
        if association.buffered + size > MAX_BUFFERED_BYTES:
            if not reliable:
                return Sent.BUFFER_FULL
            self._close(stream, now)
            return Sent.OVERFLOWED
        outgoing = SctpMessage(stream, _BINARY, data)
        association.send(outgoing, now, ordered=reliable, max_retransmits=None if reliable else 0, size=size)
        return Sent.TAKEN

    def _close(self, stream: int, now: int) -> None:
        self._closed.add(stream)
        self._association.reset(stream, now)

    def receive(self, records: Sequence[bytes], now: int) -> list[DataItem]:
        """Take the content of DTLS records; return the messages in them. Invalid ones are only counted."""
        if not self._started:
            return []
        was_broken = bool(self._association.close_reason)
        for record in records:
            self._association.receive(record, now)
        if self._association.close_reason and not was_broken:
            self._counters[f"data_association_{self._association.close_reason}"] += 1
        self._closed.update(self._association.resets())
        came: list[DataItem] = []
        for message in self._association.messages():
            if self._labels is not None and message.protocol == dcep.PROTOCOL:
                self._open(message, now)
                continue
            unfit = self._unfit(message)
            if unfit is None:
                came.append(DataItem(message.data, message.stream == self._reliable, message.stream == self._tracks))
            else:
                self._counters[unfit.value] += 1
        return came

    def _open(self, message: SctpMessage, now: int) -> None:
        """Let the far end open a channel; any channel is acknowledged."""
        assert self._labels is not None
        try:
            opening = dcep.parse(message.data)
        except ValueError:
            self._counters[Unfit.BAD_OPENING.value] += 1
            return
        if opening is None:
            return
        self._closed.discard(message.stream)
        if not self._labels.ours and opening.label == self._labels.reliable:
            self._reliable = message.stream
        elif not self._labels.ours and opening.label == self._labels.lossy:
            self._lossy = message.stream
        elif not self._labels.ours and opening.label == self._labels.tracks:
            self._tracks = message.stream
        self._say(message.stream, dcep.ACKNOWLEDGEMENT, now)

    def _unfit(self, message: SctpMessage) -> Unfit | None:
        if message.stream not in (self._reliable, self._lossy, self._tracks):
            return Unfit.UNKNOWN_CHANNEL
        if message.stream in self._closed:
            return Unfit.CLOSED_CHANNEL
        if message.protocol != _BINARY:
            return Unfit.NOT_BINARY
        return Unfit.TOO_LONG if len(message.data) > self._longest else None

    def withhold(self, size: int) -> None:
        """Reduce the far end's window by the size of messages that wait here."""
        self._association.withhold(size)

    def give_back(self, size: int, now: int) -> None:
        """Restore the far end's window by this size."""
        self._association.give_back(size, now)

    def records_to_send(self) -> list[bytes]:
        """Return the packets to send now, each as one DTLS record."""
        return self._association.packets_to_send()

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns."""
        return self._association.timer()

    def handle_timer(self, now: int) -> None:
        """Let the association retransmit what is due."""
        self._association.handle_timer(now)
