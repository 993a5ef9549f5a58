"""The last seconds of one recorded stream, so that a recorder that comes back misses nothing."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from sfu.api.sink_records import PacketRecord, SenderReportRecord

KEPT_NS = 5_000_000_000
MAX_BYTES = 8 * 1024 * 1024
_REPORT_BYTES = 64


class _Kept(NamedTuple):
    record: PacketRecord | SenderReportRecord
    bytes: int


class ReplayBuffer:
    """Records in the order they came, bounded in time and bytes; `durable` is the newest ext_seq on disk, or -1."""

    def __init__(self, kept_ns: int = KEPT_NS, max_bytes: int = MAX_BYTES) -> None:
        self.durable = -1
        self.newest = -1
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._kept_ns = kept_ns
        self._max_bytes = max_bytes

    @property
    def complete(self) -> bool:
        """Whether all that came is on disk."""
        return self.durable >= self.newest

    def put(self, record: PacketRecord | SenderReportRecord) -> None:
        """Keep a record; what is too old, or too much, goes."""
        size = _REPORT_BYTES
        if isinstance(record, PacketRecord):
            size = len(record.rtp)
            self.newest = max(self.newest, record.ext_seq)
        self._kept.append(_Kept(record, size))
        self._bytes += size
        oldest = record.arrival - self._kept_ns
        while self._kept and (self._kept[0].record.arrival < oldest or self._bytes > self._max_bytes):
            self._bytes -= self._kept.popleft().bytes

    def replay(self) -> Iterator[PacketRecord | SenderReportRecord]:
        """Yield what is not known to be on disk; reports all, since they cost nothing."""
        for record, _ in self._kept:
            if isinstance(record, SenderReportRecord) or record.ext_seq > self.durable:
                yield record
