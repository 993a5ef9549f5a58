"""Reordering of one stream's packets by ext_seq, with a decision on when a gap is a loss."""

from enum import IntEnum
from typing import NamedTuple

_MAX_MISSED_RANGES = 1024


class LossReason(IntEnum):
    """The reason why packets are not part of a frame."""

    EXPIRED = 0  # did not arrive within max_wait
    MISSED = 1  # the sfu reported that they will not arrive
    OVERFLOW = 2  # given up early because the buffer was full
    INCOMPLETE = 3  # arrived, but their frame misses packets
    MALFORMED = 4  # arrived, but the payload does not parse


class Ready(NamedTuple):
    """A packet; `payload` is without padding, `timestamp` as on the wire."""

    ext_seq: int
    arrival: int
    timestamp: int
    marker: bool
    payload: bytes


class Gap(NamedTuple):
    """A number of `packets` from `first_ext_seq` on that were given up."""

    first_ext_seq: int
    packets: int
    reason: LossReason


class ReorderBuffer:
    """Holds packets after a gap until the gap closes, expires, overflows or is declared missed."""

    def __init__(self, max_wait: int, max_packets: int, first_ext_seq: int | None) -> None:
        self._max_wait = max_wait
        self._max_packets = max_packets
        self._expected = first_ext_seq
        self._waiting: dict[int, Ready] = {}
        self._waiting_since: int | None = None
        self._missed: list[tuple[int, int]] = []
        self.late_packets = 0

    def push(self, packet: Ready) -> list[Ready | Gap]:
        """Take a packet; its arrival also expires older gaps."""
        if self._expected is None:
            self._expected = packet.ext_seq
        if packet.ext_seq < self._expected or packet.ext_seq in self._waiting:
            self.late_packets += 1
            return []
        if packet.ext_seq == self._expected and not self._waiting and not self._missed:
            self._expected += 1
            return [packet]
        self._waiting[packet.ext_seq] = packet
        self._waiting_since = min(
            packet.arrival, packet.arrival if self._waiting_since is None else self._waiting_since
        )
        out = self._release()
        while len(self._waiting) > self._max_packets:
            out += self._give_up(LossReason.OVERFLOW)
        return out + self.expire(packet.arrival)

    def pass_by(self, ext_seq: int) -> bool:
        """Return True, and count a packet as taken, if it is the next one and nothing waits."""
        if ext_seq != self._expected or self._waiting or self._missed:
            return False
        self._expected += 1
        return True

    def missed(self, first_ext_seq: int, packets: int) -> list[Ready | Gap]:
        """Stop waiting for these packets; those that have arrived stay."""
        if self._expected is None:
            self._expected = first_ext_seq
        end = first_ext_seq + packets
        if packets > 0 and end > self._expected and len(self._missed) < _MAX_MISSED_RANGES:
            self._missed.append((first_ext_seq, end))
            self._missed.sort()
        return self._release()

    def expire(self, now: int) -> list[Ready | Gap]:
        """Give up gaps that have lasted long enough."""
        out: list[Ready | Gap] = []
        while self._waiting_since is not None and now - self._waiting_since >= self._max_wait:
            out += self._give_up(LossReason.EXPIRED)
        return out

    def drain(self) -> list[Ready | Gap]:
        """Give up every gap."""
        out: list[Ready | Gap] = []
        while self._waiting:
            out += self._give_up(LossReason.EXPIRED)
        return out

    def timer(self) -> int | None:
        """Return when `expire` has work next."""
        return None if self._waiting_since is None else self._waiting_since + self._max_wait

    def _give_up(self, reason: LossReason) -> list[Ready | Gap]:
        """End the first gap at the next packet that has arrived, or at the start of a missed range before it."""
        assert self._expected is not None
        following = min(self._waiting)
        if self._missed:
            following = min(following, self._missed[0][0])
        gap = Gap(self._expected, following - self._expected, reason)
        self._expected = following
        return [gap, *self._release()]

    def _release(self) -> list[Ready | Gap]:
        """Return the packets that are now in order."""
        assert self._expected is not None
        out: list[Ready | Gap] = []
        while True:
            while (packet := self._waiting.pop(self._expected, None)) is not None:
                out.append(packet)
                self._expected += 1
            while self._missed and self._missed[0][1] <= self._expected:
                del self._missed[0]
            if not self._missed or self._missed[0][0] > self._expected:
                break
            end = min([self._missed[0][1], *(seq for seq in self._waiting if seq < self._missed[0][1])])
            out.append(Gap(self._expected, end - self._expected, LossReason.MISSED))
            self._expected = end
        if out:
            self._waiting_since = min((packet.arrival for packet in self._waiting.values()), default=None)
        return out
