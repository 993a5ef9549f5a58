"""The bounded queue for one sink. Records that do not fit are dropped, counted and reported; nothing waits for it."""

from collections import deque

from sfu.api import sink_records
from sfu.api.sink_records import AnyControl, MissedRecord, PacketRecord, SenderReportRecord

MAX_BYTES = 32 * 1024 * 1024
RESERVED_BYTES = 8 * 1024 * 1024
RECORD_BYTES = 256
"""The approximate size of a record without its packet."""


class SinkQueue:
    """Records in order. Packets beyond the bound are dropped; other records may use a reserve beyond it."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._records: deque[PacketRecord | bytes] = deque()
        self._missed: dict[int, tuple[int, int]] = {}
        self._max_bytes = max_bytes
        self.bytes = 0
        self.dropped = 0
        self.overrun = False

    def __len__(self) -> int:
        return len(self._records)

    def put_packet(self, record: PacketRecord) -> bool:
        """Queue a packet; return False if it was dropped, which a later record reports to the sink."""
        handle = record.handle
        if self.bytes + _cost(record) > self._max_bytes:
            first, count = self._missed.get(handle, (record.ext_seq, 0))
            self._missed[handle] = (min(first, record.ext_seq), count + 1)
            self.dropped += 1
            return False
        if handle in self._missed:
            first, count = self._missed.pop(handle)
            self._append(sink_records.encode(MissedRecord(handle, first, count)))
        self._append(record)
        return True

    def put(self, record: AnyControl | SenderReportRecord | MissedRecord) -> None:
        """Queue any other record. Beyond the reserve the queue is `overrun`, and the sink must be detached."""
        data = sink_records.encode(record)
        if self.bytes + _cost(data) > self._max_bytes + RESERVED_BYTES:
            self.overrun = True
            return
        self._append(data)

    def close_handle(self, handle: int) -> None:
        """Remove a handle, after reporting its dropped packets."""
        if handle in self._missed:
            first, count = self._missed.pop(handle)
            self.put(MissedRecord(handle, first, count))

    def _append(self, record: PacketRecord | bytes) -> None:
        self._records.append(record)
        self.bytes += _cost(record)

    def peek(self) -> bytes | None:
        """Return the oldest record, encoded, without removing it."""
        if not self._records:
            return None
        record = self._records[0]
        return record if isinstance(record, bytes) else sink_records.encode_packet(*record)

    def pop(self) -> None:
        """Remove the oldest record."""
        self.bytes -= _cost(self._records.popleft())


def _cost(record: PacketRecord | bytes) -> int:
    return RECORD_BYTES + len(record.rtp if isinstance(record, PacketRecord) else record)
