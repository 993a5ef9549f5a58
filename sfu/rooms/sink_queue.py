"""The bounded queue towards one sink: what does not fit is dropped, counted and owned up to, never waited for."""

from collections import deque

from sfu.api import sink_records
from sfu.api.sink_records import AnyControl, MissedRecord, SenderReportRecord

MAX_BYTES = 32 * 1024 * 1024
MAX_RECORDS = 50_000
RESERVED_RECORDS = 10_000


class SinkQueue:
    """Encoded records in order. Packets are dropped over the bound; control records may use a reserve beyond it."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_records: int = MAX_RECORDS) -> None:
        self._records: deque[bytes] = deque()
        self._missed: dict[int, tuple[int, int]] = {}
        self._max_bytes = max_bytes
        self._max_records = max_records
        self.bytes = 0
        self.dropped = 0
        self.overrun = False

    def __len__(self) -> int:
        return len(self._records)

    def put_packet(self, handle: int, ext_seq: int, arrival: int, rtp: bytes) -> bool:
        """Queue a packet; False when it was dropped, which a later record tells the sink."""
        if self.bytes + len(rtp) > self._max_bytes or len(self._records) >= self._max_records:
            first, count = self._missed.get(handle, (ext_seq, 0))
            self._missed[handle] = (min(first, ext_seq), count + 1)
            self.dropped += 1
            return False
        if handle in self._missed:
            first, count = self._missed.pop(handle)
            self._append(sink_records.encode(MissedRecord(handle, first, count)))
        self._append(sink_records.encode_packet(handle, ext_seq, arrival, rtp))
        return True

    def put(self, record: AnyControl | SenderReportRecord | MissedRecord) -> None:
        """Queue any other record. Beyond the reserve the queue is `overrun`: the sink is to be detached."""
        if len(self._records) >= self._max_records + RESERVED_RECORDS:
            self.overrun = True
            return
        self._append(sink_records.encode(record))

    def close_handle(self, handle: int) -> None:
        """Forget what is known of a handle, after telling what it missed."""
        if handle in self._missed:
            first, count = self._missed.pop(handle)
            self.put(MissedRecord(handle, first, count))

    def _append(self, data: bytes) -> None:
        self._records.append(data)
        self.bytes += len(data)

    def peek(self) -> bytes | None:
        """Return the oldest record without taking it."""
        return self._records[0] if self._records else None

    def pop(self) -> None:
        """Take the oldest record."""
        self.bytes -= len(self._records.popleft())
