"""Packets of recorded streams that are not yet on disk, so that a returning recorder misses nothing.

A record is kept until the recorder reports that it is on disk, however long that takes. All buffers of a node share one
memory budget. Beyond it the fullest buffer drops its oldest records, and reports them as missed when it is replayed.
"""

from collections import deque
from collections.abc import Iterator

from sfu.api.sink_records import MissedRecord, PacketRecord, SenderReportRecord

MAX_BYTES = 256 * 1024 * 1024
RECORD_BYTES = 256
"""The approximate size of a record without its packet."""
_RELIEF = 16
"""The fullest buffer drops one part in this many at once, since finding the fullest is costly."""


class ReplayBudget:
    """The memory that the buffers of a node share. `given_up` counts packets dropped for lack of memory."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.bytes = 0
        self.given_up = 0
        self._max_bytes = max_bytes
        self._buffers: set[ReplayBuffer] = set()

    def add(self, buffer: "ReplayBuffer") -> None:
        self._buffers.add(buffer)

    def remove(self, buffer: "ReplayBuffer") -> None:
        self._buffers.discard(buffer)

    def relieve(self) -> None:
        """Make room, if there is too little, by emptying part of the fullest buffer."""
        while self.bytes > self._max_bytes:
            fullest = max(self._buffers, key=lambda buffer: buffer.bytes)
            self.given_up += fullest.give_up(max(1, fullest.bytes // _RELIEF))


class ReplayBuffer:
    """Records of one stream in order of arrival. `close` returns its memory to the budget."""

    def __init__(self, budget: ReplayBudget | None = None) -> None:
        self.newest = -1
        self.bytes = 0
        self._durable = -1
        self._kept: deque[PacketRecord | SenderReportRecord] = deque()
        self._given_up: tuple[int, int, int] | None = None  # handle, first and last ext_seq
        self._budget = budget or ReplayBudget()
        self._budget.add(self)

    @property
    def durable(self) -> int:
        """The ext_seq up to which everything is on disk, or -1."""
        return self._durable

    @property
    def complete(self) -> bool:
        """True if everything that arrived is on disk."""
        return self._durable >= self.newest

    def put(self, record: PacketRecord | SenderReportRecord) -> None:
        """Keep a record."""
        if isinstance(record, PacketRecord):
            self.newest = max(self.newest, record.ext_seq)
        self._kept.append(record)
        self._account(_cost(record))
        self._budget.relieve()

    def reached(self, ext_seq: int) -> None:
        """Drop the packets that are on disk: all up to `ext_seq`, with the reports before it."""
        self._durable = max(self._durable, min(ext_seq, self.newest))
        while self._oldest_packet() <= self._durable:
            while not isinstance(self._drop(), PacketRecord):
                pass

    def give_up(self, size: int) -> int:
        """Drop the oldest records, `size` bytes or a little more; return the number of packets dropped."""
        until = max(0, self.bytes - size)
        packets = 0
        while self.bytes > until:
            record = self._drop()
            if isinstance(record, PacketRecord) and record.ext_seq > self._durable:
                packets += 1
                _, first, last = self._given_up or (0, record.ext_seq, record.ext_seq)
                self._given_up = record.handle, min(first, record.ext_seq), max(last, record.ext_seq)
        return packets

    def replay(self) -> Iterator[MissedRecord | PacketRecord | SenderReportRecord]:
        """Yield a record of gaps in the buffer, then every packet not known to be on disk."""
        if self._given_up is not None:
            handle, first, last = self._given_up
            first = max(first, self._durable + 1)
            if first <= last:
                yield MissedRecord(handle, first, last - first + 1)
        for record in self._kept:
            if isinstance(record, SenderReportRecord) or record.ext_seq > self._durable:
                yield record

    def close(self) -> None:
        """Drop everything."""
        self._kept.clear()
        self._account(-self.bytes)
        self._budget.remove(self)

    def _oldest_packet(self) -> float:
        return next((record.ext_seq for record in self._kept if isinstance(record, PacketRecord)), float("inf"))

    def _drop(self) -> PacketRecord | SenderReportRecord:
        record = self._kept.popleft()
        self._account(-_cost(record))
        return record

    def _account(self, size: int) -> None:
        self.bytes += size
        self._budget.bytes += size


def _cost(record: PacketRecord | SenderReportRecord) -> int:
    return RECORD_BYTES + (len(record.rtp) if isinstance(record, PacketRecord) else 0)
