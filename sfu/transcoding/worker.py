"""The transcoder: converts audio in a separate process, without secrets, network or files.

It is started as `python -m sfu.transcoding.worker FD`, with a Unix SEQPACKET socket at FD, and ends when the socket
closes.
"""

import contextlib
import socket
import sys
import time
from collections import Counter

from foundation import confinement
from sfu.formats.codecs import Codec
from sfu.transcoding import records
from sfu.transcoding.conversion import Conversion, Direction
from sfu.transcoding.records import Begin, Converted, Dropped, End, Packet, Ping
from sfu.transcoding.telephony import TELEPHONY

MEMORY_BYTES = 2 << 30
MAX_CONVERSIONS = 4096
STALE_NS = 500_000_000
"""The delay beyond which packets are dropped: after a stall, audio continues from the present."""


class Transcoder:
    """All conversions. Each record taken returns the records to send. Packets that are too old are dropped."""

    def __init__(self) -> None:
        self._conversions: dict[int, Conversion] = {}
        self._drops: Counter[str] = Counter()

    def take(self, data: bytes, now: int) -> list[records.Record]:
        """Take one record."""
        try:
            record = records.decode(data)
        except ValueError:
            self._drops["bad_record"] += 1
            return []
        match record:
            case Packet(arrival=arrival) if now - arrival > STALE_NS:
                self._drops["stale"] += 1
            case Packet():
                return self._packet(record)
            case Begin():
                self._begin(record)
            case End(conversion=number):
                self._end(number)
            case Ping():
                return [self._dropped()]
            case _:
                self._drops["bad_record"] += 1
        return []

    def _packet(self, packet: Packet) -> list[records.Record]:
        conversion = self._conversions.get(packet.conversion)
        if conversion is None:
            self._drops["unknown_conversion"] += 1
            return []
        sent = conversion.push(packet.stream, packet.ext_seq, packet.arrival, packet.rtp)
        return [Converted(packet.conversion, rtp) for rtp in sent]

    def _begin(self, begin: Begin) -> None:
        self._end(begin.conversion)
        if len(self._conversions) >= MAX_CONVERSIONS:
            self._drops["too_many_conversions"] += 1
            return
        direction = Direction(begin.source, begin.target)
        made = Conversion(direction, begin.source_type, begin.target_type, begin.ssrc)
        self._conversions[begin.conversion] = made

    def _end(self, number: int) -> None:
        ended = self._conversions.pop(number, None)
        if ended is not None:
            self._drops.update(ended.drops)

    def _dropped(self) -> Dropped:
        for conversion in self._conversions.values():
            self._drops.update(conversion.drops)
            conversion.drops.clear()
        reasons = {reason: count for reason, count in self._drops.items() if count}
        self._drops.clear()
        return Dropped(reasons)


def _load() -> None:
    """Load every codec, since there are no files once the process is confined."""
    for codec in TELEPHONY:
        for direction in (Direction(codec, Codec.OPUS), Direction(Codec.OPUS, codec)):
            Conversion(direction, 0, 0, 0)


def main(arguments: list[str]) -> None:
    """Run the transcoder until its socket closes."""
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=0)
    _load()
    with socket.socket(fileno=int(arguments[0])) as channel, contextlib.suppress(ConnectionError):
        channel.send(records.encode(records.Ready(confinement.confine())))
        transcoder = Transcoder()
        while data := channel.recv(records.MAX_BYTES):
            for record in transcoder.take(data, time.monotonic_ns()):
                channel.send(records.encode(record))


if __name__ == "__main__":
    main(sys.argv[1:])
