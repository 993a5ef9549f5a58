"""The sending side of an SRT connection in live mode, as its caller. Without I/O: packets, and a time in µs, go in and
come out.

Packets are kept until they are acknowledged, sent again if they are reported lost, and given up once they are too late.
"""

import struct
from collections import OrderedDict, deque
from dataclasses import dataclass

from sfu.formats import srt
from sfu.formats.srt import MESSAGES, SEQUENCES, Control, Handshake, Kind
from sfu.formats.srt_cipher import SrtCipher

_AGAIN_US = 250_000
_KEEP_US = 1_000_000
_SILENT_US = 5_000_000
_GIVE_UP_US = 1_000_000
"""The time after the latency in which a packet is still sent again."""
_MAX_KEPT = 8192
_BYTES_PER_SECOND = 4_000_000
_BURST_BYTES = 32_000
_ENDS = {
    1000: "its reason is unknown",
    1002: "it refuses the connection",
    1003: "it has no room for another connection",
    1010: "the passphrase is wrong or missing",
    1011: "the passphrase is wrong, missing, or not expected",
    1401: "the stream id is not accepted",
    1403: "the stream id is not accepted",
    1404: "it does not know the stream id",
    1409: "another sender uses the stream id",
}


@dataclass(slots=True)
class _Packet:
    sequence: int
    number: int
    at: int
    content: bytes


class Caller:
    """A connection that begins with a handshake. `sequence` (31 bits) and `socket` should be random.

    `is_connected` becomes true once the listener accepts; `over` is then, or instead, the reason of the end.
    """

    def __init__(
        self,
        stream_id: str,
        latency_ms: int,
        now: int,
        *,
        sequence: int,
        socket: int,
        cipher: SrtCipher | None = None,
    ) -> None:
        self.is_connected = False
        self.over = ""
        self.dropped = 0
        """The packets that were given up."""
        self._wish = Handshake(
            srt.VERSION, Kind.INDUCTION, sequence, socket, 0, stream_id=stream_id, latency=latency_ms
        )
        self._cipher = cipher
        self._begun = self._heard = self._sent_at = self._refilled = now
        self._theirs = 0
        self._latency_us = latency_ms * 1000
        self._sequence = sequence
        self._number = 1
        self._coming: deque[_Packet] = deque()
        self._kept: OrderedDict[int, _Packet] = OrderedDict()
        """Sent packets by wire sequence number, oldest first."""
        self._allowance = float(_BURST_BYTES)
        self._output: list[bytes] = []
        self._greet(now)

    @property
    def waiting(self) -> int:
        """The number of packets that are not acknowledged."""
        return len(self._coming) + len(self._kept)

    def send(self, content: bytes, now: int) -> None:
        """Send the content of one packet, once the rate allows it."""
        self._coming.append(_Packet(self._sequence, self._number, now, content))
        self._sequence = (self._sequence + 1) % SEQUENCES
        self._number = self._number % (MESSAGES - 1) + 1
        self._send_due(now)

    def receive(self, data: bytes, now: int) -> None:
        header = srt.read_header(data)
        if header is None or header.sequence is not None or self.over or header.destination != self._wish.socket:
            return
        content = data[srt.HEADER_BYTES :]
        if header.kind == Control.HANDSHAKE:
            self._answered(data, now)
        elif not self.is_connected:
            return
        self._heard = now
        if header.kind == Control.ACK and len(content) >= 4:
            self._acknowledged(struct.unpack_from("!I", content)[0] % SEQUENCES)
            if len(content) >= 16:  # a light one needs no answer
                self._control(Control.ACKACK, header.info, now)
        elif header.kind == Control.NAK:
            self._send_again(srt.read_losses(content), now)
        elif header.kind == Control.SHUTDOWN:
            self.over = "The server closed the connection."

    def tick(self, now: int) -> None:
        """Do what time requires. Call it every 10 ms."""
        if self.over:
            return
        if now - self._heard > _SILENT_US:
            self.over = "The server does not answer."
        elif not self.is_connected:
            if now - self._sent_at >= _AGAIN_US:
                self._greet(now)
        else:
            self._give_up(now)
            self._send_due(now)
            if now - self._sent_at >= _KEEP_US:
                self._control(Control.KEEPALIVE, 0, now)

    def close(self, now: int) -> None:
        """End the connection."""
        if self.is_connected and not self.over:
            self._control(Control.SHUTDOWN, 0, now)
        self.over = self.over or "The connection was closed."

    def output(self) -> list[bytes]:
        """Return the packets to send, once."""
        made, self._output = self._output, []
        return made

    def _greet(self, now: int) -> None:
        at = now - self._begun
        if self._wish.kind == Kind.INDUCTION:
            self._emit(srt.induction(self._wish.sequence, self._wish.socket, at), now)
        else:
            self._emit(srt.conclusion(self._wish, at, self._cipher.material if self._cipher else b""), now)

    def _answered(self, data: bytes, now: int) -> None:
        if self.is_connected:
            return
        try:
            theirs = srt.read_handshake(data)
        except ValueError:
            return
        if theirs.kind == Kind.INDUCTION and self._wish.kind == Kind.INDUCTION:
            if theirs.version < srt.VERSION or theirs.magic != srt.MAGIC:
                self.over = "The server refused the stream: its version of SRT is too old."
                return
            self._wish = self._wish._replace(kind=Kind.CONCLUSION, cookie=theirs.cookie)
            self._greet(now)
        elif theirs.kind == Kind.CONCLUSION and self._wish.kind == Kind.CONCLUSION:
            self.is_connected, self._theirs = True, theirs.socket
            self._latency_us = max(self._latency_us, theirs.latency * 1000)
        elif theirs.kind not in {Kind.INDUCTION, Kind.CONCLUSION}:
            self.over = f"The server refused the stream: {_ENDS.get(theirs.kind, f'code {theirs.kind}')}."

    def _acknowledged(self, before: int) -> None:
        while self._kept:
            oldest = next(iter(self._kept))
            if (before - oldest - 1) % SEQUENCES >= SEQUENCES // 2:
                return
            del self._kept[oldest]

    def _send_again(self, lost: list[tuple[int, int]], now: int) -> None:
        for first, last in lost:
            count = (last - first) % SEQUENCES + 1
            if count > _MAX_KEPT:
                continue
            for step in range(count):
                packet = self._kept.get((first + step) % SEQUENCES)
                if packet is not None:
                    self._emit(self._packed(packet, srt.RESENT), now)

    def _give_up(self, now: int) -> None:
        late = now - self._latency_us - _GIVE_UP_US
        given_up: list[int] = []
        while self._kept and (next(iter(self._kept.values())).at < late or len(self._kept) > _MAX_KEPT):
            given_up.append(self._kept.popitem(last=False)[0])
        while self._coming and self._coming[0].at < late:
            given_up.append(self._coming.popleft().sequence)
        if given_up:
            self.dropped += len(given_up)
            self._control(Control.DROP, 0, now, struct.pack("!II", given_up[0], given_up[-1]))

    def _send_due(self, now: int) -> None:
        gained = (now - self._refilled) * _BYTES_PER_SECOND / 1_000_000
        self._allowance, self._refilled = min(_BURST_BYTES, self._allowance + gained), now
        while self.is_connected and self._coming and self._allowance > 0 and len(self._kept) < _MAX_KEPT:
            packet = self._coming.popleft()
            self._kept[packet.sequence] = packet
            self._allowance -= len(packet.content)
            self._emit(self._packed(packet, 0), now)

    def _packed(self, packet: _Packet, flags: int) -> bytes:
        content = packet.content
        if self._cipher is not None:
            content, flags = self._cipher.encrypt(packet.sequence, content), flags | srt.EVEN_KEY
        at = packet.at - self._begun
        return srt.data_packet(packet.sequence, packet.number, at, self._theirs, content, flags=flags)

    def _control(self, kind: Control, info: int, now: int, content: bytes = b"") -> None:
        self._emit(srt.control(kind, info, now - self._begun, self._theirs, content), now)

    def _emit(self, packet: bytes, now: int) -> None:
        self._output.append(packet)
        self._sent_at = now
